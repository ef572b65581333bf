# The library, with Xvfb to use it on.
#
#   docker build -t xshm .
#   docker run -v "$PWD:/out" xshm                  photographs a virtual display into the current directory
#   docker run xshm sh tests/run.sh                 runs the tests; installs what they need first, about 90 s
#
#   docker build -t xshm-tests --target tests .     with all that the tests need in it
#   docker run xshm-tests                           runs them; arguments go to pytest
#
#   docker build -t xshm-fleet --target fleet .     with Ray, for displays on many machines
#
# For a container that grabs a screen outside it, see the README.
FROM debian:trixie-slim AS library
RUN apt-get update \
    && apt-get install --no-install-recommends -y \
        python3 python3-venv xvfb xauth x11-apps x11-xserver-utils xterm fonts-dejavu-core \
    && rm -rf /var/lib/apt/lists/*
ENV XSHM_VENV=/opt/venv PATH=/opt/venv/bin:$PATH
WORKDIR /opt/xshm
COPY pyproject.toml README.md ./
COPY xshm xshm
RUN python3 -m venv /opt/venv && pip install --no-cache-dir '.[live]'
COPY . .
RUN mkdir /out
CMD ["python", "examples/quickstart.py", "/out/xshm-quickstart.png"]

FROM library AS tests
RUN XSHM_SETUP_ONLY=1 sh tests/run.sh
ENTRYPOINT ["sh", "tests/run.sh"]
CMD []

# For KubeRay, see .github/KUBERNETES.md: its probes ask Ray's dashboard by wget, its commands come from a login shell,
# which has a PATH of its own.
FROM library AS fleet
RUN apt-get update && apt-get install --no-install-recommends -y wget && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir '.[fleet]' 'ray[default]' \
    && echo 'PATH=/opt/venv/bin:$PATH' >/etc/profile.d/venv.sh
RUN useradd --create-home xshm
USER xshm
CMD ["python", "-c", "from xshm import fleet; print(fleet.capacity())"]

FROM library
