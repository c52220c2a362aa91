"""Define what travels along the path of a photo: a prediction, its detections, and what operators did to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from detection.record.reasons import Reason
from detection.record.sentences import Code

# From this confidence on, what the model says is taken for sure.
SURE = 0.5
# What the model is less sure of than this is not shown, unless somebody asks for it; ultralytics' default.
LEAST = 0.25
# So many frames of a clip are looked at, evenly spread.
FRAMES_AT_MOST = 4


class Status(StrEnum):
    """Where the work on a photo stands: queued -> processing -> succeeded | failed."""

    QUEUED = "queued"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Delivery(StrEnum):
    """Where the answer stands: pending -> delivering (a lease) -> delivered | undeliverable."""

    PENDING = "pending"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    UNDELIVERABLE = "undeliverable"


@dataclass(frozen=True, slots=True)
class Detection:
    """One box. `confidence` is 0-1; the box is centre, width and height as fractions of the image (YOLO xywhn)."""

    label: str
    confidence: float
    cx: float
    cy: float
    width: float
    height: float

    @property
    def unsure(self) -> bool:
        """Return whether the model may well be wrong: people are told "maybe"."""
        return self.confidence < SURE


class Form(StrEnum):
    """How a photo is answered."""

    PICTURE = ""
    CROPS = "crops"
    JSON = "json"
    # What is written in it.
    TEXT = "text"


class Question(StrEnum):
    """What a caption asks of the classes that it names; without it, it asks for a picture of them."""

    NONE = ""
    COUNT = "count"
    ANY = "any"
    WHERE = "where"


@dataclass(frozen=True, slots=True)
class Unknown:
    """A word of a caption that is no option, and the option or class that is nearest to it; empty if none is."""

    word: str
    nearest: str


@dataclass(frozen=True, slots=True)
class Options:
    """What the sender of a photo asks for: classes (all if empty), least confidence (LEAST if None), how it is shown.

    `blur` hides people's heads; `where` adds a sentence for people who don't see the picture.
    """

    only: tuple[str, ...] = ()
    least: float | None = None
    labels: bool = True
    blur: bool = False
    form: Form = Form.PICTURE
    unknown: tuple[Unknown, ...] = ()
    where: bool = False
    question: Question = Question.NONE


# The class whose objects can be made unrecognisable.
PERSON = "person"
# What a photo without a caption asks for.
EVERYTHING = Options()


@dataclass(frozen=True, slots=True)
class Act:
    """What an operator did to a job, and when."""

    at: datetime
    operation: str
    operator: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """One run of the model on one photo: the item in the predictions table. Times are aware, in UTC."""

    prediction_id: str
    chat_id: int
    message_id: int
    image_key: str
    status: Status = Status.QUEUED
    delivery: Delivery = Delivery.PENDING
    # How often it was claimed. It only ever rises, so each claim can be told from every other.
    attempts: int = 0
    # How often it was really tried: claims that failed because of AWS are not counted.
    tries: int = 0
    # When the site got the update; the item is created once the photo is stored.
    received_at: datetime | None = None
    created_at: datetime | None = None
    enqueued_at: datetime | None = None
    started_at: datetime | None = None
    # Which job works on it, or did last, and an id for that claim.
    job_id: str | None = None
    holder: str | None = None
    # The exception that ended the try before this one.
    failure: str | None = None
    finished_at: datetime | None = None
    # When the answer came first. Sending it again leaves this as it is.
    delivered_at: datetime | None = None
    # When an operator's resending ended, for better or worse.
    resent_at: datetime | None = None
    # When an operator last had it done, or sent, again.
    reopened_at: datetime | None = None
    # Until when the answer is leased to its sender; of a pending answer, until when nobody may send it.
    delivery_until: datetime | None = None
    delivery_lease: str | None = None
    # How often sending failed for a reason that concerns this answer alone.
    delivery_failures: int = 0
    # Size of the file as it was sent; None on items of earlier releases, whose photos count as small.
    photo_bytes: int | None = None
    model: str | None = None
    inference_ms: int | None = None
    # The CPU time it took, and how many CPUs its machine has; None on items of earlier releases.
    cpu_ms: int | None = None
    cpus: int | None = None
    # The bot's message that tells how the wait goes, until it becomes the answer or is deleted.
    status_message_id: int | None = None
    # The bot's message that is the answer, if it can be drawn again; and when its caption was edited last.
    answer_message_id: int | None = None
    edited_at: datetime | None = None
    # Why it failed, which its sender is told.
    reason: Reason | None = None
    detections: tuple[Detection, ...] = field(default=())
    # All that the model thinks possible, so that more or less can be shown later without asking it again.
    candidates: tuple[Detection, ...] = field(default=())
    # The numbers of the candidates' classes in the model, by label; they decide about colours.
    classes: Mapping[str, int] = field(default_factory=dict)
    options: Options = field(default=EVERYTHING)
    # Who sent the photo, or asked about it (a user's id), and then whose photo it is, if that is somebody else.
    sender_id: int | None = None
    author_id: int | None = None
    # In which topic of a group it is, and the language the answer is in ("de").
    thread_id: int | None = None
    language: str | None = None
    # Of a photo that the bot was asked about as a guest: the query, the only name of the answer's message that the bot
    # learns, and the message in STORAGE_CHAT by which Telegram has the boxed photo, until that is deleted there.
    guest_query_id: str | None = None
    inline_message_id: str | None = None
    picture_file_id: str | None = None
    picture_message_id: int | None = None
    # Which album the photo belongs to (detection/record/albums.py); albums get one answer.
    album_id: str | None = None
    # Whether its own caption asks for something: else it is shown as that of its album asks.
    captioned: bool = False
    # Whether it was sent as a file, and is answered as one: at its full resolution.
    as_file: bool = False
    # Whether it is a clip, and how many of its frames the answer shows.
    clip: bool = False
    frames: int | None = None
    # What is written in it, if it was read.
    written: str | None = None
    # Whether the photo has a higher resolution than its picture.
    shrunk: bool = False
    # Whether its sender hid it until somebody taps it.
    spoiler: bool = False
    # From which confidence on the model was asked, in percent, if that isn't the usual.
    floor_percent: int | None = None
    acts: tuple[Act, ...] = field(default=())

    @property
    def result_key(self) -> str:
        """Return where the boxed photo lies in the bucket."""
        return f"results/{self.prediction_id}.jpg"

    @property
    def frame_keys(self) -> list[str]:
        """Return where the boxed frames of a clip lie, in order."""
        return [self.result_key, *_more_frames(self.prediction_id)][: self.frames or 1]

    @property
    def copy_key(self) -> str:
        """Return where a copy lies that a site can decode, if the photo is no ordinary JPEG, or was sent as a file."""
        return f"results/{self.prediction_id}.copy.jpg"

    @property
    def full_key(self) -> str:
        """Return where the boxed photo lies at its full resolution, if it was sent as a file."""
        return f"results/{self.prediction_id}.full.jpg"

    @property
    def error(self) -> str | None:
        """Return why it failed in an English sentence."""
        return str(self.reason) if self.reason else None

    def failed_by(self, code: Code) -> bool:
        """Return whether it failed for that reason."""
        return self.status is Status.FAILED and self.reason is not None and self.reason.code is code

    @property
    def cancelled(self) -> bool:
        """Return whether its sender wants no answer any more."""
        return self.failed_by(Code.CANCELLED)

    @property
    def is_text(self) -> bool:
        """Return whether a photo that has been answered is read: its boxes belong to its first answer."""
        return self.options.form is Form.TEXT

    @property
    def delivered(self) -> bool:
        """Return whether its answer is settled, for better or worse."""
        return self.delivery in (Delivery.DELIVERED, Delivery.UNDELIVERABLE)

    @property
    def with_album(self) -> bool:
        """Return whether it is answered together with its album, as far as its own item tells.

        What failed is answered at once, and what an operator has reopened comes later.
        """
        failed = self.status is Status.FAILED and not self.cancelled
        return self.album_id is not None and self.reopened_at is None and not failed

    @property
    def finished(self) -> bool:
        """Return whether the work on the photo is over, for better or worse."""
        return self.status in (Status.SUCCEEDED, Status.FAILED)


def results_of(prediction_id: str) -> tuple[str, ...]:
    """Return the keys in the bucket of all that a worker makes from a photo."""
    kinds = (".jpg", ".copy.jpg", ".full.jpg")
    return (*(f"results/{prediction_id}{kind}" for kind in kinds), *_more_frames(prediction_id))


def _more_frames(prediction_id: str) -> list[str]:
    return [f"results/{prediction_id}.frame{number}.jpg" for number in range(2, FRAMES_AT_MOST + 1)]
