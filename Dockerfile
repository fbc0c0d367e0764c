# The operator. Any base with Python 3.11 or newer and pip will do; give one by digest for a reproducible image:
#   docker build --build-arg BASE=python:3.11-slim@sha256:… .
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# Before the sources, so that a change of code leaves the packages' layer as it is.
COPY requirements/build.lock requirements/operator.lock ./
# Into folders of their own: the base needs neither venv nor a writable site-packages, and build tools stay out of the
# image. Wheels only: there is no compiler here, and nothing of a package runs while it is installed.
RUN python3 -m pip install --no-compile --require-hashes --only-binary=:all: --target /build/tools -r build.lock \
 && python3 -m pip install --no-compile --require-hashes --only-binary=:all: --target /app -r operator.lock
COPY pyproject.toml README.md LICENSE ./
COPY operator ./operator
RUN PYTHONPATH=/build/tools python3 -m hatchling build -t wheel -d /build/dist \
 && python3 -m pip install --no-compile --no-deps --no-index --target /app /build/dist/*.whl
# The synchronous Kubernetes client's own tests, type stubs of C extensions and C sources are never imported.
RUN find /app -type d \( -name tests -o -name test \) -prune -exec rm -rf {} + \
 && find /app -type f \( -name '*.pyi' -o -name '*.c' -o -name '*.h' -o -name '*.pyx' -o -name '*.pxd' \) -delete \
 && rm -rf /app/bin
# Byte code by content: it stays valid whatever the layers do to file times, and the root is read-only. None for the
# Kubernetes client's two thousand generated classes: they are loaded on first use, and we use raw objects.
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash -x '/kubernetes/(aio/)?client/(api|models)/[^_]' /app \
 && PYTHONPATH=/app python3 -c 'import modelramp.__main__, modelramp.app, modelramp.handlers'

FROM ${BASE}
LABEL org.opencontainers.image.title="modelramp" \
      org.opencontainers.image.description="Kubernetes operator that rolls out machine-learning models by evidence" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /app /app
# Few malloc arenas: threads are few, and arenas they leave behind count as resident.
ENV PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=2 \
    HOME=/tmp
USER 65532:65532
WORKDIR /tmp
EXPOSE 8080
ENTRYPOINT ["python3", "-m", "modelramp"]
CMD ["run"]
