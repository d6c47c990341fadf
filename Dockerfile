# The sidecar. Build stage: uv and the lock. Final stage: Python, the installed environment, nobody's root.
# scripts/check_dockerfile.py runs these install steps without a container engine; keep them plain.
FROM python:3.13-slim-bookworm AS build
ENV UV_PYTHON=/usr/local/bin/python3 UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=/opt/ledger \
    UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
WORKDIR /src
RUN pip install --no-cache-dir uv==0.13.9
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-default-groups --extra proxy --no-install-project
COPY README.md LICENSE ./
COPY ledger_core ledger_core
COPY rules rules
COPY proxy proxy
COPY console console
RUN uv sync --frozen --no-default-groups --extra proxy --no-editable

FROM python:3.13-slim-bookworm
# /var/lib/ledger holds the ledger and the certificate authority: both must outlive the container.
RUN pip uninstall --yes --quiet --root-user-action=ignore pip \
 && useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/ledger --shell /usr/sbin/nologin ledger \
 && install -d -o ledger -g ledger -m 0700 /var/lib/ledger \
 && install -d -o ledger -g ledger -m 0755 /trust
COPY --from=build /opt/ledger /opt/ledger
ENV PATH=/opt/ledger/bin:$PATH PYTHONUNBUFFERED=1 LEDGER_DB=/var/lib/ledger/ledger.db
USER 10001:10001
WORKDIR /var/lib/ledger
VOLUME /var/lib/ledger
STOPSIGNAL SIGTERM
ENTRYPOINT ["ledger"]
# Writes to the ledger, so a full disk or a lost volume is seen; needs --admin, as below.
HEALTHCHECK --interval=30s --timeout=8s --start-period=20s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9090/healthz', timeout=6)"]
# Loopback: share the agent's network namespace (examples/docker-compose.yml, examples/kubernetes), and give the agent
# the certificate, never /var/lib/ledger. The root may be read only; /tmp takes what is too large for memory.
CMD ["proxy", "--listen", "127.0.0.1:8080", "--ca-dir", "/var/lib/ledger/ca", "--admin", "127.0.0.1:9090"]
