# syntax=docker/dockerfile:1

FROM node:20.20.2-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN --mount=type=cache,target=/root/.npm npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY bin ./bin
COPY src ./src
COPY scripts ./scripts
COPY tools ./tools
# Workers need the SDK's core, and DuckDB for usage logs, which the package leaves optional: they are kept as the lock file
# has them, without the SDK's source and its binaries for other systems.
RUN npm run build && cp package.json package.published.json \
  && node -e "const p = require('./package.json'); \
    Object.assign(p.dependencies, p.peerDependencies); \
    for (const part of ['devDependencies', 'peerDependencies', 'peerDependenciesMeta']) delete p[part]; \
    require('node:fs').writeFileSync('package.json', JSON.stringify(p))" \
  && npm prune --no-audit --no-fund && mv package.published.json package.json \
  && rm -r node_modules/@temporalio/core-bridge/sdk-core \
  && find node_modules/@temporalio/core-bridge/releases -mindepth 1 -maxdepth 1 \
    ! -name "$(uname -m)-unknown-linux-gnu" -exec rm -r {} +

FROM node:20.20.2-bookworm-slim
ENV NODE_ENV=production
# The Temporal SDK verifies TLS by the system's certificates, which the slim image lacks.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/*
COPY --from=build /app/package.json /app/package.json
COPY --from=build /app/node_modules /app/node_modules
COPY --from=build /app/dist /app/dist
# Where a gateway keeps its records; a named volume takes this owner over.
RUN mkdir /var/lib/cutover && chown node:node /var/lib/cutover
WORKDIR /var/lib/cutover
USER node
# Node does not reap orphans: run it with --init (the Compose file does).
ENTRYPOINT ["node", "/app/dist/src/cli/main.js"]
CMD ["--help"]
