"""Settings of all three roles, read once from the environment; `.env.example` describes each in a line.

A value that only some roles need may be empty here. Each role names what it cannot start without:
`require("polybot")` raises with everything that is missing at once.
"""

import os
import re
import secrets
import sys
from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from botsite import region, roles, secret_store

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
env.read_env(BASE_DIR / ".env")


def _number(name: str, text: str) -> float:
    """Return a number; django-environ would read 1e3 as 13, and name no setting."""
    try:
        return float(text)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is {text!r}: it has to be a number.") from error


def _languages(name: str, text: str) -> list[str]:
    """Return the codes of languages that a setting lists; English needs no catalogue."""
    known = {
        "en",
        *(folder.name for folder in (BASE_DIR / "botsite" / "language" / "locale").iterdir() if folder.is_dir()),
    }
    codes = [code.strip().lower() for code in text.split(",") if code.strip()]
    if unknown := set(codes) - known:
        raise ImproperlyConfigured(
            f"{name} has {', '.join(sorted(unknown))}: the bot speaks {', '.join(sorted(known))}."
        )
    return list(dict.fromkeys(codes))


def _most(name: str, text: str) -> int | None:
    """Return a number of photos, None for no limit (empty or 0)."""
    if not text.strip():
        return None
    if not text.isascii() or not text.strip().isdigit() or int(text) > _MOST:
        raise ImproperlyConfigured(f"{name} is {text!r}: it has to be a whole number up to {_MOST}; 0 for no limit.")
    return int(text) or None


def _people(name: str, text: str) -> frozenset[str]:
    """Return ids ("42") and names in lower case without the @. A typo must not let anybody in."""
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    if wrong := [entry for entry in entries if not _PERSON.fullmatch(entry)]:
        raise ImproperlyConfigured(f"{name} has {wrong[0]!r}: it has to be ids such as 42 and @names, with commas.")
    if text.strip() and not entries:
        raise ImproperlyConfigured(f"{name} is {text!r}, which names nobody.")
    return frozenset(entry[1:].lower() if entry.startswith("@") else str(int(entry)) for entry in entries)


_MOST = 1_000_000
# Telegram's names begin with a letter, so none can be taken for an id.
_PERSON = re.compile(r"@[A-Za-z][A-Za-z0-9_]{3,31}|-?[0-9]{1,19}")


def _chat(name: str, text: str) -> int | None:
    """Return the id of a chat, None for an empty text."""
    if text and not re.fullmatch(r"-?[1-9][0-9]{0,18}", text):
        raise ImproperlyConfigured(f"{name} is {text!r}: it has to be the id of a chat, such as -1001234567890.")
    return int(text) if text else None


# --- AWS. Credentials come from boto3's default chain only: the instance role. ------------------------------
AWS_ENDPOINT_URL = env.str("AWS_ENDPOINT_URL", default="")
# Empty if nobody chose one: then no client is made (botsite/aws.py).
AWS_REGION = region.chosen(env.str("AWS_REGION", default=""), AWS_ENDPOINT_URL)
JOBS_QUEUE_URL = env.str("JOBS_QUEUE_URL", default="")
METRICS_QUEUE_URL = env.str("METRICS_QUEUE_URL", default="")
IMAGES_BUCKET = env.str("IMAGES_BUCKET", default="")
PREDICTIONS_TABLE = env.str("PREDICTIONS_TABLE", default="")
PREDICTIONS_KEPT_DAYS = env.int("PREDICTIONS_KEPT_DAYS", default=30)
# Their values count as if they were in the environment, where child processes and crash reports would see them.
SERVICE_SECRETS = env.list("SERVICE_SECRETS", default=[])
_held = {secret_id: secret_store.read([secret_id], AWS_REGION, AWS_ENDPOINT_URL) for secret_id in SERVICE_SECRETS}
# Setting -> the secret it comes from, where a newer value may appear (botsite/keys.py).
SECRET_OF = {name: secret_id for secret_id, held in _held.items() for name in held if not os.environ.get(name)}
env.ENVIRON = os.environ | {name: _held[secret_id][name] for name, secret_id in SECRET_OF.items()}

# --- Telegram -----------------------------------------------------------------------------------------------
TELEGRAM_TOKEN_SECRET = env.str("TELEGRAM_TOKEN_SECRET", default="")
TELEGRAM_TOKEN = env.str("TELEGRAM_TOKEN", default="")
TELEGRAM_API_URL = env.str("TELEGRAM_API_URL", default="https://api.telegram.org")
TELEGRAM_WEBHOOK_SECRET = env.str("TELEGRAM_WEBHOOK_SECRET", default="")
# Where Telegram reaches the webhook if that is not the load balancer's own name, as on a laptop.
TELEGRAM_WEBHOOK_URL = env.str("TELEGRAM_WEBHOOK_URL", default="")
# The languages that the bot speaks; empty: all that it has a catalogue of.
BOT_LANGUAGES = _languages("BOT_LANGUAGES", env.str("BOT_LANGUAGES", default=""))
# Where pictures for guests are sent first: Telegram takes no new file for their messages.
STORAGE_CHAT = _chat("STORAGE_CHAT", env.str("STORAGE_CHAT", default=""))
# Whether people who have to wait are told for how long: on, or off.
ACKNOWLEDGE = env.bool("ACKNOWLEDGE", default=True)
# Whether a button reads what is written in a photo; workers need requirements-text.txt then.
READ_TEXT = env.bool("READ_TEXT", default=False)
# Of one person; None for no limit.
PHOTOS_PER_MINUTE = _most("PHOTOS_PER_MINUTE", env.str("PHOTOS_PER_MINUTE", default=""))
PHOTOS_PER_DAY = _most("PHOTOS_PER_DAY", env.str("PHOTOS_PER_DAY", default=""))
# If anybody is allowed, only they are; and nobody who is denied.
ALLOWED_USERS = _people("ALLOWED_USERS", env.str("ALLOWED_USERS", default=""))
DENIED_USERS = _people("DENIED_USERS", env.str("DENIED_USERS", default=""))

# --- The worker's call of /results --------------------------------------------------------------------------
POLYBOT_URL = env.str("POLYBOT_URL", default="")
RESULTS_KEY = env.str("RESULTS_KEY", default="")
# The first RESULTS_KEY: ids must not change when RESULTS_KEY is rotated.
PREDICTION_ID_KEY = env.str("PREDICTION_ID_KEY", default="") or RESULTS_KEY

# --- Scaling ------------------------------------------------------------------------------------------------
ASG_NAME = env.str("ASG_NAME", default="")
METRIC_NAMESPACE = env.str("METRIC_NAMESPACE", default="ObjectDetection")
# Empty: what a worker does within the goal (metrics/backlog.py, `acceptable`).
BACKLOG_TARGET = _number("BACKLOG_TARGET", text) if (text := env.str("BACKLOG_TARGET", default="")) else None
LATENCY_GOAL_SECONDS = _number("LATENCY_GOAL_SECONDS", env.str("LATENCY_GOAL_SECONDS", default="15"))
PHOTOS_PER_SECOND = _number("PHOTOS_PER_SECOND", env.str("PHOTOS_PER_SECOND", default="32"))
KEEP_WARM_SECONDS = _number("KEEP_WARM_SECONDS", env.str("KEEP_WARM_SECONDS", default="600"))
METRIC_PERIOD_SECONDS = _number("METRIC_PERIOD_SECONDS", env.str("METRIC_PERIOD_SECONDS", default="30"))

# --- The model ----------------------------------------------------------------------------------------------
YOLO_WEIGHTS = env.str("YOLO_WEIGHTS", default="yolo11n.pt")
# Of a .pt file of one's own; those that ultralytics publishes are known (detection/model/checksums.py).
YOLO_WEIGHTS_SHA256 = env.str("YOLO_WEIGHTS_SHA256", default="")
# Exported models, downloaded weights and ultralytics' own settings live here; safe to delete.
CACHE_DIR = Path(env.str("CACHE_DIR", default=str(BASE_DIR / ".cache")))
# A worker touches it while it is healthy; health checks look at its age.
LIVENESS_FILE = Path(env.str("LIVENESS_FILE", default=str(CACHE_DIR / "worker-alive")))
# Whether this worker is on standby next to the metric (botsite/standby.py).
STANDBY_WORKER = env.bool("STANDBY_WORKER", default=False)
# A photo with more pixels is refused before it is decoded (a decoded pixel takes 3 bytes).
PHOTO_MAX_MEGAPIXELS = env.float("PHOTO_MAX_MEGAPIXELS", default=50.0)

# --- Django -------------------------------------------------------------------------------------------------
DEBUG = env.bool("DJANGO_DEBUG", default=False)
# Commands and workers sign nothing with it, so a random key will do. The web role requires a real one.
SECRET_KEY = env.str("DJANGO_SECRET_KEY", default="") or secrets.token_urlsafe(50)
# Sessions signed before a rotation stay valid.
SECRET_KEY_FALLBACKS = env.list("DJANGO_SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("DJANGO_ALLOWED_HOSTS", default=[]) or [
    host for host in (urlsplit(POLYBOT_URL).hostname, "localhost", "127.0.0.1") if host
]
# The admin's login, created at every start (botsite/staff/login.py); without a password there is no login.
ADMIN_USER = env.str("ADMIN_USER", default="admin")
ADMIN_PASSWORD = env.str("ADMIN_PASSWORD", default="")
# For users that an operator adds.
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (("MinimumLengthValidator", {"min_length": 12}), ("CommonPasswordValidator", {}))
]
# Django's database only holds the admin's logins: predictions are in DynamoDB.
DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "botsite",
    # Before the admin, whose template it adds to.
    "botsite.staff",
    # Without autodiscovery: the site does that (botsite/urls.py), the other roles have no pages.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "detection",
    "deploy",
]
MIDDLEWARE = [
    # First, because the load balancer's health checks have an IP as Host and use plain HTTP.
    "botsite.health.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "botsite.urls"
ASGI_APPLICATION = "botsite.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
# The admin's style sheets come straight from the packages: no deployment step to forget.
SERVESTATIC_USE_FINDERS = True
SERVESTATIC_ALLOW_ALL_ORIGINS = False
STORAGES = {
    "default": {"BACKEND": "detection.record.images.ImageStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# The web instances share no database, so a session is a signed cookie. It cannot be revoked, so it is short.
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True

# --- People use TLS, which ends at the load balancer --------------------------------------------------------
# An emulator has no certificate that a browser trusts.
HTTPS = env.bool("DJANGO_HTTPS", default=not AWS_ENDPOINT_URL)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
# Workers call over plain HTTP inside the network, with a signature; and Telegram follows no redirects.
SECURE_REDIRECT_EXEMPT = [r"^results$", r"^telegram/webhook$"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
# Preloading is a promise about a whole domain, which may not be ours: the bot may live on a subdomain.
SILENCED_SYSTEM_CHECKS = ["security.W021"]
CSRF_FAILURE_VIEW = "botsite.staff.pages.csrf_failure"
# Only the site's own scripts and styles. The page that shows photos adds the bucket (botsite/staff/jobs/page.py).
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}
USE_TZ = True
# Django sets the process's time zone to TIME_ZONE; logs and items are in UTC.
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"

# The CloudWatch log group of this process's lines, where events are counted (botsite/counters.py).
LOG_GROUP = env.str("LOG_GROUP", default="")
# CloudWatch log groups of the roles, for links; empty where the logs are on this machine.
LOG_GROUPS = env.list("LOG_GROUPS", default=[])
# Where the local AWS writes the roles' lines, for `manage.py logs`.
LOG_FOLDER = env.str("LOG_FOLDER", default="")
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
# "json" for machines, "text" for people; the default depends on whether stderr is a terminal.
LOG_FORMAT = env.str("LOG_FORMAT", default="text" if sys.stderr.isatty() else "json")
# By name: Django creates the formatter when it sets up logging, after these settings exist.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"event": {"()": "botsite.logs.formatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "event"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # They log a line per request, where our events say more; httpx's includes the address with the bot's token.
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        "botocore": {"level": "WARNING"},
        "matplotlib": {"level": "WARNING"},
        "torch": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.server": {"handlers": [], "level": "INFO", "propagate": True},
    },
}


def require(role: str) -> None:
    """Raise ImproperlyConfigured naming every setting that `role` needs and the environment lacks."""
    missing = [name for name in roles.named(role).needs if not env.str(name, default="")]
    if role == roles.POLYBOT.name and not (TELEGRAM_TOKEN or TELEGRAM_TOKEN_SECRET):
        missing.append("TELEGRAM_TOKEN_SECRET (or TELEGRAM_TOKEN)")
    if not AWS_REGION:
        missing.append("AWS_REGION")
    if missing:
        raise ImproperlyConfigured(
            f"The {role} role can't start without {', '.join(missing)}. "
            "`python manage.py stack_env` prints them for a provisioned stack; .env.example explains each."
        )
