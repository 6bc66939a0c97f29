# The bot as a container image, for batch farms:
#
#   make image                                       builds it, with podman or docker
#   podman run --read-only --user 4321 --volume "$PWD:/data" hepml run --suite hep-toy
#
# The base is named by its tag, so that a new build has the newest fixes of Debian and Python. To
# build the same image again years later, name the digest that the tag had:
# python:3.11-slim-bookworm@sha256:… (podman image inspect shows it; it is in a label below too).
FROM docker.io/library/python:3.11-slim-bookworm AS build

WORKDIR /source
COPY . .

# what a bot needs and nothing more, in the versions of the lock
RUN python -m venv /opt/hepml \
 && PIP_CONSTRAINT=/source/constraints.txt /opt/hepml/bin/python -m pip install \
      --disable-pip-version-check --no-cache-dir --no-compile '.[xgboost,xrootd]' \
 && /opt/hepml/bin/python -m pip uninstall --quiet --yes setuptools pip

# A bot has no use for tests, headers and stubs, nor for pyarrow's remote file systems and calls.
# Bytecode is compiled once, as files can't be written at run time. That all is still there is seen
# at the end, and in the tests of the image.
RUN set -eux; \
    rm -rf /opt/hepml/include /opt/hepml/share /opt/hepml/bin/[Aa]ctivate*; \
    cd /opt/hepml/lib/python3.*/site-packages; \
    find . -depth -type d \( -name tests -o -name test -o -name include -o -name docs \
      -o -name examples -o -name __pycache__ \) -exec rm -rf '{}' +; \
    find . -type f -not -path '*.dist-info/*' \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' \
      -o -name '*.pxi' -o -name '*.a' -o -name '*.h' -o -name '*.hpp' -o -name '*.c' \
      -o -name '*.cpp' -o -name '*.f90' -o -name '*.md' -o -name '*.rst' \) -delete; \
    cd pyarrow; \
    rm -rf *flight* *s3* *gcsfs* *azurefs* *hdfs* *cpp_tests* libarrow*.so libarrow*.so.*.*.*; \
    cd ..; \
    /opt/hepml/bin/python -m compileall -q --invalidation-mode unchecked-hash .; \
    /opt/hepml/bin/python -c 'import h5py, openml, sklearn, uproot, xgboost, XRootD.client, \
      pyarrow.csv, pyarrow.dataset, pyarrow.parquet, hepml_tasks.cli, hepml_tasks.server.app'

# All that is written goes below /data, which any user may write to, whatever number a farm gives
# it. Nothing is run in the image itself: what is lent to a build leaves no trace there.
RUN mkdir -p /image/opt /image/data && mv /opt/hepml /image/opt/ && chmod 1777 /image/data



FROM docker.io/library/python:3.11-slim-bookworm

ARG VERSION=unknown
ARG COMMIT=unknown
ARG IMAGE=hepml
LABEL org.opencontainers.image.title="hepml bot" \
      org.opencontainers.image.description="Common machine-learning benchmarks for high-energy physics, on OpenML" \
      org.opencontainers.image.licenses="BSD-3-Clause" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim-bookworm"

COPY --from=build /image/ /
ENV PATH=/opt/hepml/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/data \
    HEPML_CACHE=/data/cache \
    HEPML_SPOOL=/data/spool \
    HEPML_STATE=/data/state \
    OPENML_CACHE_DIR=/data/openml \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HEPML_IMAGE=${IMAGE} \
    HEPML_COMMIT=${COMMIT}
VOLUME /data
WORKDIR /data
USER 10001:10001
ENTRYPOINT ["hepml", "bot"]
CMD ["--help"]
