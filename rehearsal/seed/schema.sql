-- The company's operational data, as it is before any agent exists: nobody but the owner reads it.
REVOKE ALL ON DATABASE operations FROM PUBLIC;
GRANT CONNECT ON DATABASE operations TO PUBLIC, deployer, vault_broker;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT CREATE ON SCHEMA public TO app_owner;
GRANT USAGE ON SCHEMA public TO app_owner WITH GRANT OPTION;
GRANT USAGE ON SCHEMA public TO app_procedures;

-- A customer's address: no agent may read it.
CREATE TABLE incidents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL CHECK (tenant IN ('emea', 'amer')),
    title text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('sev1', 'sev2', 'sev3', 'sev4')),
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'mitigated', 'resolved')),
    opened_at timestamptz NOT NULL DEFAULT now(),
    summary text NOT NULL DEFAULT '',
    customer_email text NOT NULL,
    resolution text,
    closed_at timestamptz
);

CREATE TABLE tickets (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL CHECK (tenant IN ('emea', 'amer')),
    title text NOT NULL,
    body text NOT NULL DEFAULT '',
    status text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'open', 'closed')),
    created_at timestamptz NOT NULL DEFAULT now(),
    customer_email text
);

-- Where a vendor is paid: no agent may read it.
CREATE TABLE vendors (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text NOT NULL CHECK (tenant IN ('emea', 'amer')),
    name text NOT NULL,
    country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'active', 'blocked')),
    onboarded_at timestamptz,
    bank_account text,
    UNIQUE (tenant, name)
);

ALTER TABLE incidents OWNER TO app_owner;
ALTER TABLE tickets OWNER TO app_owner;
ALTER TABLE vendors OWNER TO app_owner;

-- What was carried out after an approval, by the digest of the case that people saw: no case is carried out twice.
CREATE TABLE executed_requests (
    digest text PRIMARY KEY CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
    action text NOT NULL,
    executed_at timestamptz NOT NULL DEFAULT now(),
    executed_by name NOT NULL DEFAULT session_user
);
ALTER TABLE executed_requests OWNER TO app_owner;

-- Closes one open incident of one tenant; `decided_by` names who decided.
CREATE FUNCTION close_incident(tenant text, incident bigint, resolution text, decided_by text, digest text)
RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO public.executed_requests (digest, action) VALUES (close_incident.digest, 'incidents.close');
    UPDATE public.incidents AS i
       SET status = 'resolved', resolution = close_incident.resolution || ' (' || decided_by || ')', closed_at = now()
     WHERE i.id = close_incident.incident AND i.tenant = close_incident.tenant AND i.status <> 'resolved'
    RETURNING true;
END;

-- Makes one vendor record that is active at once.
CREATE FUNCTION create_vendor(tenant text, name text, country text, bank_account text, digest text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO public.executed_requests (digest, action) VALUES (create_vendor.digest, 'vendors.create');
    INSERT INTO public.vendors (tenant, name, country, bank_account, status, onboarded_at)
    VALUES (create_vendor.tenant, create_vendor.name, create_vendor.country, create_vendor.bank_account, 'active', now())
    RETURNING id;
END;

REVOKE ALL ON FUNCTION close_incident(text, bigint, text, text, text), create_vendor(text, text, text, text, text)
    FROM PUBLIC;
ALTER FUNCTION close_incident(text, bigint, text, text, text) OWNER TO app_procedures;
ALTER FUNCTION create_vendor(text, text, text, text, text) OWNER TO app_procedures;
GRANT EXECUTE ON FUNCTION close_incident(text, bigint, text, text, text), create_vendor(text, text, text, text, text)
    TO app_owner WITH GRANT OPTION;

-- What the functions need, and the rows: these policies count once row security is enabled on the tables.
GRANT INSERT (digest, action) ON executed_requests TO app_procedures;
GRANT SELECT (id, tenant, status), UPDATE (status, resolution, closed_at) ON incidents TO app_procedures;
GRANT SELECT (id), INSERT (tenant, name, country, bank_account, status, onboarded_at) ON vendors TO app_procedures;
CREATE POLICY app_procedures ON incidents TO app_procedures USING (true);
CREATE POLICY app_procedures ON vendors TO app_procedures USING (true);
