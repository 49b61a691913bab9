-- Requests that came with an id, for a day: the same one again returns the first answer. digest: of what was asked;
-- answer: empty where it cannot be given again. An answer with a secret is sealed with the credential it was given to.
CREATE TABLE requests (
    tenant_id BLOB NOT NULL,
    caller TEXT NOT NULL,
    request_id TEXT NOT NULL,
    digest BLOB NOT NULL,
    answer BLOB,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, caller, request_id)
) STRICT;
CREATE INDEX requests_by_time ON requests (created_at);
