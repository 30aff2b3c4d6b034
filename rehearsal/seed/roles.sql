-- Who exists in the cluster before Narrowgate deploys anything. Passwords are set apart from here.
DO $$
BEGIN
    -- Owns the company's tables; nobody logs in as it.
    IF to_regrole('app_owner') IS NULL THEN
        CREATE ROLE app_owner NOLOGIN;
    END IF;
    -- Owns the functions that carry out high-impact actions; holds exactly what they need.
    IF to_regrole('app_procedures') IS NULL THEN
        CREATE ROLE app_procedures NOLOGIN;
    END IF;
    -- Runs deploys: makes group roles, and as a member of app_owner grants columns and writes row policies.
    IF to_regrole('deployer') IS NULL THEN
        CREATE ROLE deployer LOGIN CREATEROLE;
    END IF;
    -- Previews deploys: reads the catalogs, as anybody may, and no table.
    IF to_regrole('preview') IS NULL THEN
        CREATE ROLE preview LOGIN;
    END IF;
    -- Vault's own login: makes short-lived logins inside the group roles that it is given, and ends their sessions.
    IF to_regrole('vault_broker') IS NULL THEN
        CREATE ROLE vault_broker LOGIN CREATEROLE NOINHERIT;
    END IF;
END
$$;
GRANT app_owner TO deployer WITH INHERIT TRUE, SET TRUE;
GRANT pg_signal_backend TO vault_broker WITH INHERIT TRUE, SET FALSE;
-- Removing a workflow ends the sessions of logins that are still in its groups.
GRANT pg_signal_backend TO deployer WITH INHERIT TRUE, SET FALSE;

-- No login reaches any other database of the cluster.
REVOKE ALL ON DATABASE postgres FROM PUBLIC;
REVOKE ALL ON DATABASE template1 FROM PUBLIC;
