# The image of the worker and the ingest (docker-compose.yml): the six packages and what the lock says, no Kafka.
FROM python:3.11-slim

WORKDIR /opt/tidings
RUN python -m venv /opt/venv
COPY requirements.lock ./
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY journeys journeys
COPY tables tables
COPY streams streams
COPY agents agents
COPY tidings tidings
COPY examples /var/lib/tidings/examples
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation --no-index . \
    && useradd --system --create-home --home-dir /var/lib/tidings tidings

USER tidings
WORKDIR /var/lib/tidings
ENV PATH=/opt/venv/bin:$PATH TIDINGS_DATA_DIR=/var/lib/tidings
ENTRYPOINT ["tidings"]
CMD ["--help"]
