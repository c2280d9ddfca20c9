-- Roles and databases, made once, when PostgreSQL's volume is empty. Each role owns its own databases and may enter no other.
-- Passwords come from the environment (POSTGRES_TENDERLINE_PASSWORD, POSTGRES_TEMPORAL_PASSWORD); \getenv needs psql 14 or later.
\set ON_ERROR_STOP on
\getenv tenderline_password POSTGRES_TENDERLINE_PASSWORD
\getenv temporal_password POSTGRES_TEMPORAL_PASSWORD

-- A statement that fails would be logged with its password.
SET log_min_error_statement = 'panic';
SET log_statement = 'none';
SET password_encryption = 'scram-sha-256';

CREATE ROLE tenderline LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'tenderline_password';
CREATE ROLE temporal LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'temporal_password';

CREATE DATABASE tenderline OWNER tenderline ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE temporal OWNER temporal ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE temporal_visibility OWNER temporal ENCODING 'UTF8' TEMPLATE template0;

-- By default everybody may connect to every database. Owners keep their rights.
REVOKE ALL ON DATABASE postgres, template1, tenderline, temporal, temporal_visibility FROM PUBLIC;

-- The promise that an intent is on the disk before its request is sent, also where a pooler drops session parameters.
ALTER DATABASE tenderline SET synchronous_commit = 'on';
