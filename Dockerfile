# syntax=docker/dockerfile:1
# nanobot as an image, for amd64 and arm64: without root, and with a root file system that may be read-only. docs/running.md says how to run it.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/nanobot
# What changes rarely comes first. Each file is checked by its hash, and nothing is built from source.
COPY requirements/image.txt requirements/
RUN /opt/nanobot/bin/pip install --no-deps --require-hashes --only-binary :all: -r requirements/image.txt
COPY pyproject.toml README.md LICENSE config.json ./
COPY assistant assistant
COPY channels channels
COPY tools tools
COPY workspace workspace
RUN /opt/nanobot/bin/pip install --no-deps --no-build-isolation . \
    && /opt/nanobot/bin/pip uninstall --yes hatchling editables pip \
    && /opt/nanobot/bin/nanobot --version

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="nanobot" org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/nanobot /opt/nanobot
# The state. Nothing else is written, but below /tmp.
RUN mkdir -m 700 /data && chown 10001:10001 /data
ENV PATH=/opt/nanobot/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NANOBOT_HOME=/data \
    NANOBOT_API__HOST=0.0.0.0
WORKDIR /data
USER 10001:10001
VOLUME /data
EXPOSE 8900
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('NANOBOT_API__PORT') or 8900}/health\", timeout=4)"]
# The server handles SIGTERM as process 1; it needs no other init.
ENTRYPOINT ["nanobot"]
CMD ["serve"]
