# The image of one participant's agent. Build from the root of the repository:
#   docker build -f docker/connector.Dockerfile -t hansa-connector .
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /src
RUN python -m venv /opt/hansa
# What Hansa stands on comes first: this layer is kept until pyproject.toml or constraints.txt changes.
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > /tmp/needs.txt \
 && /opt/hansa/bin/pip install --no-cache-dir -c constraints.txt -r /tmp/needs.txt
COPY assets.py ./
RUN /opt/hansa/bin/python assets.py
COPY README.md LICENSE ./
COPY schemas schemas
COPY policies policies
COPY connector connector
COPY catalog catalog
RUN /opt/hansa/bin/pip install --no-cache-dir --no-deps . \
 && /opt/hansa/bin/python -m compileall -q /opt/hansa/lib

# Only for compose.yaml: the same, with the real tables of the story.
FROM build AS seed
RUN /opt/hansa/bin/pip install --no-cache-dir -c constraints.txt 'hansa[demo] @ file:///src'
COPY docker/seed /seed
ENV PATH=/opt/hansa/bin:$PATH
ENTRYPOINT ["/bin/sh", "/seed/init.sh"]

FROM build AS slim
RUN rm -rf /opt/hansa/lib/python3*/site-packages/pyarrow/{include,src,tests} \
 && /opt/hansa/bin/pip uninstall --yes setuptools pip

FROM python:${PYTHON}
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin hansa \
 && install -d -o hansa -g hansa -m 0700 /data
COPY --from=slim /opt/hansa /opt/hansa
ENV PATH=/opt/hansa/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HANSA_HOST=0.0.0.0 \
    HANSA_PORT=8080 \
    HANSA_STREAM__HOST=0.0.0.0 \
    HANSA_STREAM__PORT=8081 \
    HANSA_DATA_DIR=/data/state
USER 10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['HANSA_PORT'] + '/healthz', timeout=4)"]
ENTRYPOINT ["hansa"]
CMD ["connector", "serve", "--config", "/etc/hansa/connector.toml"]
