# The base image of both stages: the interpreter that the environment is made with is the one it runs on.
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
# The Makefile has the same version.
ARG UV_VERSION=0.13.8
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore "uv==${UV_VERSION}"

WORKDIR /src
ENV UV_PROJECT_ENVIRONMENT=/app/.venv \
    UV_PYTHON=/usr/local/bin/python3 \
    UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1 \
    UV_NO_CACHE=1

# What changes seldom comes first: the dependencies, exactly as locked, their hashes checked.
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-dev --no-install-project

COPY README.md LICENSE ./
COPY app ./app
RUN uv sync --locked --no-dev --no-editable


FROM ${PYTHON_IMAGE}
# Nothing is installed where it is served from, so there is no need of an installer either.
RUN packages=$(python3 -c 'import pathlib, pip; print(pathlib.Path(pip.__file__).parents[1])') \
    && rm -rf "$packages"/pip "$packages"/pip-*.dist-info /usr/local/bin/pip* /usr/bin/pip*
COPY --from=build /app/.venv /app/.venv

# Beyond loopback, the server wants its auth mode said: pass APP_AUTH_MODE=tokens with APP_AUTH_TOKENS_FILE,
# or APP_AUTH_MODE=none.
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    APP_LISTEN=0.0.0.0:50051 \
    APP_METRICS_LISTEN=0.0.0.0:9464
EXPOSE 50051 9464

# Numeric, so that Kubernetes can tell that it is not root.
USER 10001:10001
WORKDIR /app
ENTRYPOINT ["/app/.venv/bin/quoter"]
CMD ["serve"]

ARG VERSION=unknown
LABEL org.opencontainers.image.title="quoter" \
      org.opencontainers.image.description="Quotes over gRPC, and the example services beside them" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
