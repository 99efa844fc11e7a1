# syntax=docker/dockerfile:1
# One image, one role per container: `docker run qist engine`.

FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/qist
# Dependencies first: they change seldom, and this layer is the slow one.
COPY requirements-run.lock ./
RUN /opt/qist/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-run.lock
COPY pyproject.toml README.md LICENSE ./
COPY domain domain
COPY projections projections
COPY streams streams
COPY adapters adapters
RUN /opt/qist/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps .

FROM python:3.13-slim
# Numbers, not names: an orchestrator that forbids root can check a number.
RUN groupadd --gid 10001 qist && useradd --uid 10001 --gid 10001 --create-home qist \
 && install -d -o qist -g qist /var/lib/qist
COPY --from=build /opt/qist /opt/qist
ENV PATH=/opt/qist/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    QIST_DATA_DIR=/var/lib/qist \
    QIST_HTTP_HOST=0.0.0.0
USER 10001:10001
VOLUME /var/lib/qist
EXPOSE 8080
# No init in between: a role handles SIGTERM itself and starts no children. (`up` does, and reaps them.)
ENTRYPOINT ["qist"]
CMD ["--help"]
