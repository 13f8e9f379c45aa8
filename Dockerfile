# The image is the static binary, the system's certificates and nothing else: no shell, no package manager, no root.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /sidecar ./cmd/sidecar

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /sidecar /sidecar
USER 65532:65532
EXPOSE 8080 9090
# policies.yaml is mounted by the user: no policies fit every API.
ENV POLICIES_FILE=/etc/sidecar/policies.yaml
HEALTHCHECK CMD ["/sidecar", "healthcheck"]
ENTRYPOINT ["/sidecar"]
CMD ["run"]
