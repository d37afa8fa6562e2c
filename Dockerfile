# The base of both stages, so that the environment runs on the interpreter that created it. A tag can move: `make pin`
# appends the digest of its current image.
ARG PYTHON_IMAGE=docker.io/library/python:3.14-slim-trixie

FROM ${PYTHON_IMAGE} AS build
# The Makefile reads this line.
ARG UV_VERSION=0.13.9
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore "uv==${UV_VERSION}"

WORKDIR /src
# Reproducible builds: bytecode that does not depend on the time of its source, and no metadata of the installation.
ENV UV_PROJECT_ENVIRONMENT=/app/.venv \
    UV_PYTHON=/usr/local/bin/python3 \
    UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_NO_INSTALLER_METADATA=1 \
    UV_COMPILE_BYTECODE=1 \
    PYC_INVALIDATION_MODE=UNCHECKED_HASH

# The dependencies change less often than the code and come first: exactly as locked, with verified hashes.
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-dev --extra postgres --no-install-project \
    && uv export --quiet --locked --only-group build --output-file /tmp/build.txt

COPY README.md LICENSE ./
COPY app ./app
RUN uv build --wheel --build-constraints /tmp/build.txt --require-hashes --out-dir /tmp/dist \
    && uv pip install --python /app/.venv --no-deps /tmp/dist/*.whl \
    && rm /app/.venv/.lock


FROM ${PYTHON_IMAGE}
# The image needs no installer. The official image lacks the bytecode of the standard library, which cannot be written on
# a read-only root.
RUN stdlib=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))') \
    && packages=$(python3 -c 'import pathlib, pip; print(pathlib.Path(pip.__file__).parents[1])') \
    && rm -rf "$packages"/pip "$packages"/pip-*.dist-info "$stdlib"/ensurepip /usr/share/python-wheels \
       /usr/local/bin/pip* /usr/bin/pip* \
    && python3 -m compileall -q --invalidation-mode unchecked-hash "$stdlib"
COPY --from=build /app/.venv /app/.venv

# Beyond loopback, the server requires APP_AUTH_MODE: pass APP_AUTH_MODE=tokens with APP_AUTH_TOKENS_FILE, or
# APP_AUTH_MODE=none.
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    APP_LISTEN=[::]:50051 \
    APP_METRICS_LISTEN=[::]:9464
EXPOSE 50051 9464

# Numeric, so that Kubernetes can verify that it is not root.
USER 10001:10001
WORKDIR /app
ENTRYPOINT ["/app/.venv/bin/quoter"]
CMD ["serve"]

# `make image` adds the labels version, revision, created and source.
LABEL org.opencontainers.image.title="quoter" \
      org.opencontainers.image.description="A gRPC service in Python for Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0"
