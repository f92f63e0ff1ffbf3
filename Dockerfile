# One image serves all three services; the command says which. Training needs torch and is done
# in the `train` target: docker build --target train -t trefoil-train .
FROM python:3.11-slim AS base
WORKDIR /app
RUN useradd --create-home trefoil && mkdir /var/trefoil && chown trefoil /var/trefoil
ENV TREFOIL_VAR=/var/trefoil PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1
COPY pyproject.toml constraints.txt README.md ./
COPY core core
COPY services services

FROM base AS serve
RUN pip install --constraint constraints.txt ".[postgres]"
USER trefoil
VOLUME /var/trefoil
ENTRYPOINT ["trefoil"]

FROM base AS train
RUN pip install --index-url https://download.pytorch.org/whl/cpu "$(grep '^torch==' constraints.txt | sed 's/+.*//')" \
    && pip install --constraint constraints.txt ".[train,postgres]"
USER trefoil
VOLUME /var/trefoil
ENTRYPOINT ["trefoil"]

# What `docker build .` makes when no target is named.
FROM serve
