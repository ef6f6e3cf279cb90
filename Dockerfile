# Builds, each its own stage, so that a change of one does not rebuild the others:
#   host        the native binary         from Cargo.*, host/, wit/, and what `longshore new` writes
#   handler     the component             from guest/, wit/
#   host-only   the binary alone          what a release publishes: LONGSHORE_COMPONENT names a handler in a registry
#   release     both, and nothing else    what runs on Azure
#   dev         both, and the Azure CLI   what runs on a laptop: make docker-run
#
# Container Apps runs linux/amd64; the same file builds linux/arm64 (`docker buildx build --platform …`), where nothing has to be
# set, since each platform compiles for itself. No feature of BuildKit is used: `az acr build` has none, nor has buildah.

FROM docker.io/library/rust:1.95.0-slim-bookworm AS toolchain
# rust-toolchain.toml says `stable`, which would be downloaded again.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src

FROM toolchain AS host
# Writes the list of all crates into the binary, where scanners find it (syft, trivy, grype, `cargo audit bin`): the image's bill of
# materials, which no layer can be without.
RUN cargo install --locked cargo-auditable@0.7.7
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY wit wit
COPY host host
# What `longshore new` writes is in the binary.
COPY examples/hello examples/hello
COPY infra/azuredeploy.json infra/azuredeploy.json
COPY infra/project infra/project
# A release builds its archives with `compiler,dev,otel`: `longshore dev` is for laptops, and takes room in an image.
ARG FEATURES=compiler,otel
# Debian 12's glibc reads packed relocations, which a release does without in its archives: host/longshore/build.rs.
ARG PACKED_RELOCATIONS=1
# All crates are optimised as one, which takes 3 GB and 6 minutes at the end. A builder that has less takes `off`: a message then costs a
# quarter more of the processor's time.
ARG CARGO_PROFILE_DIST_LTO=fat
RUN cargo auditable build --profile dist --locked --package longshore --no-default-features --features "$FEATURES" \
 && install -D target/dist/longshore /out/longshore

FROM toolchain AS handler
RUN rustup target add wasm32-wasip2
COPY wit wit
COPY guest guest
WORKDIR /src/guest
RUN cargo build --release --locked --target wasm32-wasip2 --package order \
 && install -D --mode 644 target/wasm32-wasip2/release/order.wasm /out/handler.wasm

# What the image has of the handler: the component, and what it was compiled to, since a container starts with an empty cache. By the
# very host that will load it; for any processor of its kind, since nobody knows on which one it will run.
FROM handler AS handler-layer
COPY --from=host /out/longshore /usr/local/bin/longshore
RUN longshore compile /out/handler.wasm --to /out/handler.cwasm

# Debian 12 without a shell or a package manager: the C library, CA certificates, and a user that is not root. It has no versions, only this
# tag, which moves with Debian's security updates: each build takes the newest. Where two builds have to be the same, put the digest
# behind it (`docker buildx imagetools inspect` prints it); none could be looked up where this was written.
FROM gcr.io/distroless/cc-debian12:nonroot AS host-only
LABEL org.opencontainers.image.title="longshore" \
      org.opencontainers.image.description="Unloads a queue in an Azure Container Apps job, and hands each message to a sandboxed WebAssembly component" \
      org.opencontainers.image.licenses="MIT"
COPY --from=host /out/longshore /usr/local/bin/longshore
# By number, so that a platform can see that it is not root. The root file system may be read-only: nothing is written.
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/longshore"]
CMD ["run"]

FROM host-only AS release
# The last layer, and a small one: another handler changes this alone. One that is mounted over /handler, or named by
# LONGSHORE_COMPONENT, takes no build at all.
COPY --from=handler-layer /out/ /handler/
ENV LONGSHORE_COMPONENT=/handler/handler.wasm \
    LONGSHORE_PRECOMPILED=/handler/handler.cwasm

FROM mcr.microsoft.com/azure-cli:2.80.0 AS dev
LABEL org.opencontainers.image.title="longshore-dev" \
      org.opencontainers.image.description="longshore with the Azure CLI, for a laptop with its own login" \
      org.opencontainers.image.licenses="MIT"
COPY --from=host /out/longshore /usr/local/bin/longshore
COPY --from=handler-layer /out/ /handler/
# Where `make docker-run` mounts ~/.azure: the CLI writes there, so that the container runs as whoever owns it.
ENV LONGSHORE_COMPONENT=/handler/handler.wasm \
    LONGSHORE_PRECOMPILED=/handler/handler.cwasm \
    AZURE_CONFIG_DIR=/azure
WORKDIR /work
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/longshore"]
CMD ["run"]
