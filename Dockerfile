# The command as an ordinary user (docs/how-to.md, "Run it in a container").
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY scenarios ./scenarios
COPY simdeploy ./simdeploy
RUN python -m venv /opt/simdeploy && /opt/simdeploy/bin/pip install --no-cache-dir '.[fast,serve,explore]'

FROM python:3.13-slim
COPY --from=build /opt/simdeploy /opt/simdeploy
RUN useradd --create-home simdeploy && install --directory --owner=simdeploy /work /home/simdeploy/.cache
ENV PATH="/opt/simdeploy/bin:$PATH"
USER simdeploy
WORKDIR /work
ENTRYPOINT ["simdeploy"]
CMD ["--help"]
