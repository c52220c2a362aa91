"""A zoo of hostile and odd files, made here, each with what has to come of it: `zoo(photo)` yields them all."""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, partial
from io import BytesIO
from random import Random

import pillow_heif
import pyvips
from PIL import Image

pillow_heif.register_heif_opener()

_PIXELS = 48_500_000  # Just legal: the cap is 50 million.
_LARGEST = 19 * 1024 * 1024  # Bots may download 20 MB.


class Outcome(StrEnum):
    """What has to come of a file."""

    BOXED = "boxed"  # A picture with the objects of the photo that went into it.
    ANSWERED = "answered"  # A picture, or "nothing recognised".
    REFUSED = "refused"  # A sentence that says why.
    EITHER = "either"  # A picture or a sentence, depending on how fast the machine is.


@dataclass(frozen=True)
class Hostile:
    """A file as a stranger sends it. `make` is slow for some; its result is kept for the life of the process."""

    name: str
    filename: str
    kind: str
    outcome: Outcome
    make: Callable[[], bytes]


def zoo(photo: bytes) -> Iterator[Hostile]:
    """Yield every file; `photo` is a JPEG with objects that the model knows."""
    for outcome, filename, make in _files(photo):
        form = filename.rpartition(".")[2]
        name = filename.rpartition(".")[0]
        yield Hostile(f"{form}_{name}", filename, f"image/{_KINDS.get(form, form)}", outcome, make)


_KINDS = {"jpg": "jpeg", "tif": "tiff"}


def _files(photo: bytes) -> Iterator[tuple[Outcome, str, Callable[[], bytes]]]:
    """Yield outcome, file name and maker of each."""
    boxed, answered, refused = Outcome.BOXED, Outcome.ANSWERED, Outcome.REFUSED
    # Honest and large: what phones, scanners and editors write.
    for filename in _LARGE:
        yield boxed, filename, partial(large, photo, filename)
    yield boxed, "48_megapixels.heic", partial(large_heic, photo)
    yield boxed, "45_megapixels_palette.png", partial(large_palette, photo, "PNG", transparency=0, compress_level=1)
    yield boxed, "45_megapixels.gif", partial(large_palette, photo, "GIF")
    # Forty bytes that are 48 megapixels, and others of one colour.
    yield answered, "one_colour.webp", partial(one_colour_webp, 7000, 6900)
    yield answered, "one_colour.bmp", partial(run_length_bmp, 7000, 6900)
    yield answered, "one_colour.gif", partial(_plain, "gif", 7000, 6900)
    # Beyond the cap, by a header that tells the truth or does not.
    yield refused, "900_megapixels.png", partial(one_colour_png, 30_000, 30_000)
    yield refused, "268_megapixels.webp", partial(one_colour_webp, 16_383, 16_383)
    yield refused, "900_megapixels.bmp", partial(run_length_bmp, 30_000, 30_000, data=b"\0\1")
    yield refused, "4_gigapixels.jpg", partial(claiming_jpeg, photo, 65_500, 65_500)
    yield answered, "claims_40_megapixels.jpg", partial(claiming_jpeg, photo, 6400, 6400)
    yield refused, "claims_4_gigapixels.gif", lambda: b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + b";"
    yield refused, "lies_about_its_size.avif", lying_avif
    # Work without pixels: scans, segments, chunks and comments without end.
    yield refused, "4000_scans.jpg", partial(repeated_scans, 4000)
    yield refused, "13000_scans.jpg", partial(repeated_scans, 13_000)
    yield refused, "20_megabytes_of_segments.jpg", partial(jpeg_of_segments, photo, b"")
    yield answered, "20_megabytes_of_large_segments.jpg", partial(jpeg_of_segments, photo, bytes(65_000))
    yield Outcome.EITHER, "20_megabytes_of_chunks.png", partial(png_of_chunks, photo, b"tEXt", b"")
    yield answered, "inflating_profile.png", partial(inflating_png, photo, b"iCCP", 10**8)
    yield Outcome.EITHER, "inflating_texts.png", partial(inflating_png, photo, b"zTXt", 10**7)
    yield answered, "20_megabytes_of_comments.gif", partial(gif_of_comments, photo)
    yield answered, "wide_exif.jpg", partial(jpeg_with_exif, photo)
    yield refused, "thousand_directories.tif", tiff_loop
    # Thin ones.
    for width, height in ((1, 1), (1, 5000), (5000, 1), (7, 20_000), (20_000, 7), (60_000, 1)):
        yield answered, f"{width}x{height}.png", partial(_plain, "png", width, height)
        yield answered, f"{width}x{height}.jpg", partial(_plain, "jpg", width, height)
    # Damaged, empty, or something else.
    for form in _PILLOW:
        yield refused, f"truncated.{form}", partial(_truncated, photo, form)
        # Some formats have nothing to tell noise from pixels by.
        noise = refused if form in ("png", "gif", "avif") else answered
        yield noise, f"noise_behind_the_header.{form}", partial(_noisy, photo, form)
    yield refused, "empty.jpg", bytes
    yield refused, "zeros.png", lambda: bytes(_LARGEST)
    yield refused, "noise.jpg", lambda: Random(3).randbytes(_LARGEST)
    yield refused, "vector.svg", lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9000" height="9000"/>'
    yield (
        refused,
        "secrets.svg",
        lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    )
    yield refused, "paper.pdf", lambda: b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>"
    yield refused, "text.xpm", lambda: b"/* XPM */ static char *x[] = {"
    yield refused, "numbers.csv", lambda: b"1,2,3\n4,5,6\n"
    yield boxed, "also_a_zip.jpg", lambda: photo + b"PK\5\6" + bytes(18)
    yield answered, "also_a_page.gif", partial(_polyglot_gif, photo)
    yield boxed, "called_something_else.pdf", lambda: photo


# Of the photo enlarged: how libvips turns it into the file.
_LARGE: dict[str, Callable[[pyvips.Image], bytes]] = {
    "48_megapixels.png": lambda image: image.pngsave_buffer(compression=1, filter="up"),
    "48_megapixels_rgba.png": lambda image: image.bandjoin(255).pngsave_buffer(compression=1, filter="up"),
    "48_megapixels_16_bits.png": lambda image: (
        (image.cast("ushort") * 257)
        .cast("ushort")
        .copy(interpretation="rgb16")
        .pngsave_buffer(compression=1, filter="up")
    ),
    "48_megapixels_interlaced.png": lambda image: image.pngsave_buffer(interlace=True, compression=1, filter="up"),
    "48_megapixels.webp": lambda image: image.webpsave_buffer(Q=40, effort=0),
    "48_megapixels.jpg": lambda image: image.jpegsave_buffer(Q=60),
    "48_megapixels_progressive.jpg": lambda image: image.jpegsave_buffer(Q=60, interlace=True),
    "48_megapixels_cmyk.tif": lambda image: (
        image.invert().bandjoin(0).copy(interpretation="cmyk").tiffsave_buffer(compression="deflate", level=1)
    ),
    "48_megapixels_float.tif": lambda image: (
        (image.colourspace("b-w") / 255).cast("float").tiffsave_buffer(compression="deflate", level=1)
    ),
    "48_megapixels_lzw.tif": lambda image: image.tiffsave_buffer(compression="lzw", predictor="horizontal"),
    "48_megapixels_tiles.tif": lambda image: image.tiffsave_buffer(compression="deflate", level=1, tile=True),
    "12_megapixels.avif": lambda image: image.shrink(2, 2).heifsave_buffer(compression="av1", Q=30, effort=0),
}


@cache
def large(photo: bytes, filename: str) -> bytes:
    """Return the photo at 48 megapixels (or what the name says) in the format of the name, a strip at a time."""
    return bytes(_LARGE[filename](_enlarged(photo)))


@cache
def large_heic(photo: bytes) -> bytes:
    """Return the photo at 48 megapixels as a phone stores it."""
    image = _enlarged(photo)
    whole = Image.frombuffer("RGB", (image.width, image.height), image.write_to_memory())
    return _saved(whole, "HEIF", quality=30, enc_params={"preset": "ultrafast"})


@cache
def large_palette(photo: bytes, form: str, **options: object) -> bytes:
    """Return the photo at 45 megapixels in 64 colours, one of them transparent in a PNG."""
    small = Image.open(BytesIO(photo)).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    times = _times(small.width, small.height)
    return _saved(small.resize((small.width * times, small.height * times), Image.Resampling.NEAREST), form, **options)


def _enlarged(photo: bytes) -> pyvips.Image:
    image = pyvips.Image.new_from_buffer(photo, "")
    image = image.zoom(*[_times(image.width, image.height)] * 2)
    return image.gravity("centre", image.width, int(_PIXELS / image.width), extend="white")


def _times(width: int, height: int) -> int:
    """Return how many times as wide and high an image may be."""
    return int((_PIXELS / width / height) ** 0.5)


def one_colour_webp(width: int, height: int) -> bytes:
    """Return a lossless WebP whose five Huffman codes have one symbol each, so that a pixel takes no bits at all."""
    bits, length = 0, 0
    for value, size in (
        (0x2F, 8), (width - 1, 14), (height - 1, 14), (1, 1), (0, 3),  # signature, size, alpha, version
        (0, 1), (0, 1), (0, 1),  # no transform, no colour cache, no further Huffman images
        *((0b101, 3), (200, 8)) * 4,  # green, red, blue, alpha: a simple code of one symbol of 8 bits
        (0b001, 3), (0, 1),  # distance
    ):  # fmt: skip
        bits |= value << length
        length += size
    data = bits.to_bytes(-(-length // 16) * 2, "little")
    chunk = b"VP8L" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def one_colour_png(width: int, height: int) -> bytes:
    """Return a PNG of one bit a pixel."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, (b"IHDR", b"IDAT", b"IEND"), (header, pixels, b"")))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def run_length_bmp(width: int, height: int, data: bytes | None = None) -> bytes:
    """Return a BMP of runs of 255 pixels."""
    if data is None:
        row = b"\xff\1" * (width // 255) + bytes((width % 255, 1)) + b"\0\0"
        data = row * height + b"\0\1"
    offset = 14 + 40 + 1024
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(data), 2835, 2835, 256, 0)
    palette = b"".join(bytes((grey, grey, grey, 0)) for grey in range(256))
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + header + palette + data


def claiming_jpeg(photo: bytes, width: int, height: int) -> bytes:
    """Return the photo with another size in its frame header: the pixels for it are missing."""
    frame = photo.index(b"\xff\xc0")
    return photo[: frame + 5] + struct.pack(">HH", height, width) + photo[frame + 9 :]


@cache
def lying_avif() -> bytes:
    """Return an AVIF that says 64 x 64 and holds 5,000 x 5,000."""
    data = _saved(Image.new("L", (5000, 5000), 90), "AVIF", speed=10)
    return data.replace(b"ispe" + struct.pack(">III", 0, 5000, 5000), b"ispe" + struct.pack(">III", 0, 64, 64))


@cache
def repeated_scans(number: int) -> bytes:
    """Return a progressive JPEG of 48 megapixels with its last scan repeated."""
    data = _plain("jpg", 7000, 6900, progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * number + data[-2:]


def jpeg_of_segments(photo: bytes, data: bytes) -> bytes:
    """Return the photo behind 19 MB of application segments."""
    segment = b"\xff\xed" + struct.pack(">H", 2 + len(data)) + data
    return photo[:2] + segment * ((_LARGEST - len(photo)) // len(segment)) + photo[2:]


def png_of_chunks(photo: bytes, name: bytes, data: bytes) -> bytes:
    """Return the photo as PNG with as many of these chunks as fit, or as are 19 MB."""
    png = _converted(photo, "png")
    chunk = _chunk(name, data)
    return png[:33] + chunk * ((_LARGEST - len(png)) // len(chunk)) + png[33:]


def inflating_png(photo: bytes, name: bytes, inflated: int) -> bytes:
    """Return the photo as PNG with 19 MB of chunks that unpack to so many bytes each."""
    return png_of_chunks(photo, name, b"name\0\0" + zlib.compress(bytes(inflated), 9))


def gif_of_comments(photo: bytes) -> bytes:
    """Return the photo as GIF with 19 MB of comments of one byte."""
    gif = _converted(photo, "gif")
    comment = b"!\xfe\1x\0"
    start = 13 + 3 * 256
    return gif[:start] + comment * ((_LARGEST - len(gif)) // len(comment)) + gif[start:]


def jpeg_with_exif(photo: bytes) -> bytes:
    """Return the photo with metadata of 2,700 entries that all point to the same 30,000 bytes."""
    entries = b"".join(struct.pack("<HHII", 0x9000 + n, 7, 30_000, 32_600) for n in range(2700))
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2700) + entries + bytes(30_220)
    return photo[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif + photo[2:]


def tiff_loop() -> bytes:
    """Return a TIFF whose only directory names itself as the next, and has no picture."""
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x0132, 2, 1, 0) + struct.pack("<I", 8)


def _polyglot_gif(photo: bytes) -> bytes:
    return _converted(photo, "gif") + b"<script>alert(1)</script>"


def _plain(form: str, width: int, height: int, **options: object) -> bytes:
    return _saved(Image.new("L", (width, height), 120), _PILLOW[form], **options)


def _truncated(photo: bytes, form: str) -> bytes:
    data = _converted(photo, form)
    return data[: len(data) // 2]


def _noisy(photo: bytes, form: str) -> bytes:
    data = _converted(photo, form)
    start = min(len(data) // 3, 1000)
    return data[:start] + Random(5).randbytes(len(data) - start)


@cache
def _converted(photo: bytes, form: str) -> bytes:
    image = Image.open(BytesIO(photo)).convert("RGB")
    return _saved(image.convert("P") if form == "gif" else image, _PILLOW[form])


_PILLOW = {
    "jpg": "JPEG",
    "png": "PNG",
    "webp": "WEBP",
    "gif": "GIF",
    "bmp": "BMP",
    "tif": "TIFF",
    "avif": "AVIF",
    "heic": "HEIF",
}


def _saved(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()
