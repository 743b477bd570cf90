# One image for the API, the workers, beat, migrations and the Chroma server: the versions are
# those of requirements.lock, and who writes Chroma's files is the one whose heap is scrubbed.
FROM python:3.11.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 \
    UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1
WORKDIR /build
RUN python -m venv /opt/lethe
COPY requirements-bootstrap.lock requirements.lock ./
RUN pip install --require-hashes -r requirements-bootstrap.lock \
    && uv pip sync --python /opt/lethe/bin/python --require-hashes requirements.lock
# What chromadb asks for and nothing here imports: 160 of 560 MB.
ARG UNUSED="onnxruntime kubernetes hf-xet"
RUN uv pip uninstall --python /opt/lethe/bin/python $UNUSED
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY workers workers
COPY migrations migrations
# setuptools is in requirements.lock, so the build downloads nothing.
RUN /opt/lethe/bin/python -m pip install --no-deps --no-build-isolation --no-index .

FROM python:3.11.13-slim-bookworm
LABEL org.opencontainers.image.title="Lethe" \
    org.opencontainers.image.description="Recommends from a user's own memory, and can prove that it has forgotten." \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.licenses="Apache-2.0"
# Named volumes take their owner from these directories.
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin lethe \
    && install -d -o lethe -g lethe -m 0700 /data /chroma
COPY --from=build /opt/lethe /opt/lethe
# MALLOC_PERTURB_: Chroma writes parts of its heap to disk; this fills freed memory, so that
# no user's text gets into a file that way.
ENV PATH=/opt/lethe/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_PERTURB_=165 OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 ANONYMIZED_TELEMETRY=False \
    LETHE_ENV=production LETHE_DATA_DIR=/data LETHE_API__HOST=0.0.0.0
USER 10001:10001
WORKDIR /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
CMD ["lethe", "serve"]
