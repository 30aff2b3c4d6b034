-- incidents in operations at postgres.dev.example.com:5432

CREATE ROLE "ng_dev_incident_summarization_incidents_ca178d5f" NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT;
GRANT "ng_dev_incident_summarization_incidents_ca178d5f" TO "vault_broker" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
ALTER TABLE "public"."incidents" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "public"."incidents" FORCE ROW LEVEL SECURITY;
GRANT USAGE ON SCHEMA "public" TO "ng_dev_incident_summarization_incidents_ca178d5f";
GRANT SELECT ("id", "opened_at", "severity", "status", "summary", "tenant", "title") ON TABLE "public"."incidents" TO "ng_dev_incident_summarization_incidents_ca178d5f";
CREATE POLICY "ng_dev_incident_summarization_incidents_ca178d5f_select" ON "public"."incidents" AS PERMISSIVE FOR SELECT TO "ng_dev_incident_summarization_incidents_ca178d5f" USING ("tenant" = 'emea');

-- Vault's role incident-summarization.incidents
{
  "creation_statements": [
    "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT CONNECTION LIMIT 5 IN ROLE \"ng_dev_incident_summarization_incidents_ca178d5f\";",
    "ALTER ROLE \"{{name}}\" SET search_path = pg_catalog, \"public\";",
    "ALTER ROLE \"{{name}}\" SET idle_in_transaction_session_timeout = '60s';",
    "ALTER ROLE \"{{name}}\" SET lock_timeout = '5s';",
    "ALTER ROLE \"{{name}}\" SET statement_timeout = '30s';"
  ],
  "db_name": "operations",
  "default_ttl": 900,
  "max_ttl": 3600,
  "renew_statements": [
    "ALTER ROLE \"{{name}}\" VALID UNTIL '{{expiration}}';"
  ],
  "revocation_statements": [
    "DO $$\nBEGIN\n  IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{{name}}') THEN\n    ALTER ROLE \"{{name}}\" NOLOGIN;\n    REVOKE \"ng_dev_incident_summarization_incidents_ca178d5f\" FROM \"{{name}}\";\n    PERFORM pg_catalog.pg_terminate_backend(pid, 5000) FROM pg_catalog.pg_stat_activity WHERE usename = '{{name}}';\n    GRANT \"{{name}}\" TO CURRENT_USER WITH INHERIT TRUE;\n    DROP OWNED BY \"{{name}}\";\n    BEGIN\n      DROP ROLE \"{{name}}\";\n    EXCEPTION WHEN dependent_objects_still_exist THEN\n      RAISE WARNING 'a revoked login owns objects in another database';\n    END;\n  END IF;\nEND $$;"
  ]
}
