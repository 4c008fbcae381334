# The image of configuration-service. It runs as an unprivileged user on a read-only root: all that it writes goes to /data (the
# embedded store; unused with a bucket) and /cache, which may be lost at any time. test/package/dockerfile.long.test.ts runs these steps.
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json tsconfig.json ./
RUN npm ci --no-audit --no-fund
COPY src ./src
COPY migrations ./migrations
RUN npm run build
RUN npm prune --omit=dev --no-audit --no-fund
RUN mkdir -p empty

# The same Debian with git in it.
FROM node:24 AS git

FROM node:24-slim
WORKDIR /app
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080 STORE_URL=file:/data/store CACHE_DIR=/cache
# glibc else keeps most of what large buffers took: 266 MiB resident after a load, 138 with these.
ENV MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=65536
COPY --from=build /app/package.json ./package.json
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist/src ./dist/src
COPY --from=build /app/dist/migrations ./dist/migrations
# For `import`, which uses nothing of git but this one program. What it links to (libpcre2-8, libz) is in every Debian, for dpkg needs both.
COPY --from=git /usr/bin/git /usr/bin/git
COPY --from=build --chown=10001:10001 /app/empty /data
COPY --from=build --chown=10001:10001 /app/empty /cache
USER 10001:10001
VOLUME ["/data", "/cache"]
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --start-interval=1s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/readyz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# node itself is process 1: it hears SIGTERM and drains.
CMD ["node", "dist/src/main.js"]
