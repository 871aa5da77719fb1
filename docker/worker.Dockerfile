# A light worker: sshd, cron, Python for Ansible's modules, and the agent in one file. Runs as root: it makes and ends accounts.
#
#   docker build --file docker/worker.Dockerfile --tag orion-worker:local .
#
# The agent and Node are taken from the control plane's image, which has to be there. On Alpine: --build-arg BASE_IMAGE=alpine:3.20,
# with an orion image that is built on it too.
ARG ORION_IMAGE=orion:local
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${ORION_IMAGE} AS orion

FROM ${BASE_IMAGE}
COPY docker/install-packages.sh /tmp/
COPY docker/sshd_config /etc/ssh/sshd_config
# A container may not set a login's audit id; PAM is not to refuse the login for it.
RUN /tmp/install-packages.sh worker && rm /tmp/install-packages.sh \
  && for file in /etc/pam.d/sshd /etc/pam.d/cron; do \
       if [ -f "$file" ]; then sed -i 's/^\(session[[:space:]]*\)required\([[:space:]]*pam_loginuid\)/\1optional\2/' "$file"; fi; \
     done \
  && if [ -f /etc/pam.d/sshd ]; then echo 'UsePAM yes' >>/etc/ssh/sshd_config; fi \
  && mkdir -m 700 /etc/orion
COPY --from=orion /usr/local/bin/node /usr/local/bin/
COPY --from=orion /opt/orion/dist/orion-agent.js /opt/orion/
COPY docker/worker-entrypoint.sh /usr/local/sbin/
ENV API_ENDPOINT=http://caddy:80
EXPOSE 22
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["worker-entrypoint.sh", "check"]
ENTRYPOINT ["worker-entrypoint.sh"]
ARG ORION_VERSION=local
ARG ORION_REVISION=unknown
LABEL org.opencontainers.image.title="orion-worker" \
  org.opencontainers.image.description="A machine to lease: sshd and Orion's agent" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="${ORION_VERSION}" \
  org.opencontainers.image.revision="${ORION_REVISION}"
