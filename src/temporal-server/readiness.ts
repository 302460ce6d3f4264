import { Connection } from '@temporalio/client';

/** The types that this program's search attributes have, spelled as the `temporal` command spells them. */
type SearchAttributeKind = 'Keyword' | 'Double' | 'Bool';

/** Search attributes a namespace must know, by name. */
export type SearchAttributes = Readonly<Record<string, SearchAttributeKind>>;

const ATTEMPT_TIMEOUT_MS = 3_000;
const FRONTEND = 'temporal.api.workflowservice.v1.WorkflowService';
/** grpc.health.v1.HealthCheckResponse.ServingStatus.SERVING */
const SERVING = 1;
/** temporal.api.enums.v1.IndexedValueType */
const INDEXED_VALUE_TYPE: Readonly<Record<SearchAttributeKind, number>> = { Keyword: 2, Double: 4, Bool: 5 };

/**
 * Undefined once the server is SERVING, has the namespace and knows the search attributes; else what is missing.
 * Registers attributes that an older database file does not know, because start-dev does so for new files only.
 */
export async function makeReady(options: {
  readonly address: string;
  readonly namespace: string;
  readonly searchAttributes: SearchAttributes;
}): Promise<string | undefined> {
  const { address, namespace, searchAttributes } = options;
  let connection: Connection | undefined;
  try {
    connection = await Connection.connect({ address, connectTimeout: ATTEMPT_TIMEOUT_MS });
    return await connection.withDeadline(Date.now() + ATTEMPT_TIMEOUT_MS, () =>
      missing(connection as Connection, namespace, searchAttributes),
    );
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await connection?.close();
  }
}

async function missing(
  connection: Connection,
  namespace: string,
  searchAttributes: SearchAttributes,
): Promise<string | undefined> {
  const { status } = await connection.healthService.check({ service: FRONTEND });
  if (status !== SERVING) return `the server is not SERVING yet (health status ${status})`;
  await connection.workflowService.describeNamespace({ namespace });
  const known = await connection.operatorService.listSearchAttributes({ namespace });
  const unknown = Object.entries(searchAttributes).filter(([name]) => !(name in known.customAttributes));
  if (unknown.length === 0) return undefined;
  await connection.operatorService.addSearchAttributes({
    namespace,
    searchAttributes: Object.fromEntries(unknown.map(([name, kind]) => [name, INDEXED_VALUE_TYPE[kind]])),
  });
  return `search attributes are being registered: ${unknown.map(([name]) => name).join(', ')}`;
}
