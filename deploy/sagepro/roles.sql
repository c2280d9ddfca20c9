-- The rights of Tenderline's login in a Sage Pro company on SQL Server: what the adapter needs and nothing else. Run it as the owner, in the company's
-- database (sqlcmd -d PRO01 -v Login=tenderline -i roles.sql); it may be run again. Make the login before, with a password from your vault:
--   CREATE LOGIN tenderline WITH PASSWORD = '...', CHECK_POLICY = ON, DEFAULT_DATABASE = PRO01;
-- A site with other names of tables has them here, too (docs/sagepro.md, Names). Each GRANT stands on a line of its own.
SET XACT_ABORT ON;
GO
IF DATABASE_PRINCIPAL_ID('tenderline_erp') IS NULL CREATE ROLE tenderline_erp;
IF DATABASE_PRINCIPAL_ID('$(Login)') IS NULL CREATE USER [$(Login)] FOR LOGIN [$(Login)];
ALTER ROLE tenderline_erp ADD MEMBER [$(Login)];
GO
-- Documents and the totals beside them. Nothing is ever deleted.
GRANT SELECT, INSERT, UPDATE ON dbo.arcust TO tenderline_erp;
GRANT SELECT, INSERT, UPDATE ON dbo.arcadr TO tenderline_erp;
GRANT SELECT, INSERT, UPDATE ON dbo.somast TO tenderline_erp;
GRANT SELECT, INSERT, UPDATE ON dbo.sotran TO tenderline_erp;
GRANT SELECT, INSERT ON dbo.soaddr TO tenderline_erp;
GRANT SELECT, INSERT ON dbo.socomm TO tenderline_erp;
GRANT SELECT, UPDATE ON dbo.icitem TO tenderline_erp;
GRANT SELECT, UPDATE ON dbo.iciloc TO tenderline_erp;
GRANT SELECT, INSERT ON dbo.ictran TO tenderline_erp;
GRANT SELECT, INSERT, UPDATE ON dbo.armast TO tenderline_erp;
GRANT SELECT, INSERT ON dbo.artran TO tenderline_erp;
GRANT SELECT, INSERT ON dbo.arcash TO tenderline_erp;
GRANT SELECT, INSERT ON dbo.apmast TO tenderline_erp;
GRANT SELECT, INSERT ON dbo.apdist TO tenderline_erp;
GRANT SELECT, INSERT ON dbo.glbatch TO tenderline_erp;
GRANT SELECT, INSERT ON dbo.gltran TO tenderline_erp;
-- Counters: the next number is an update.
GRANT SELECT, UPDATE ON dbo.sycnext TO tenderline_erp;
-- What is only looked up.
GRANT SELECT ON dbo.apvend TO tenderline_erp;
GRANT SELECT ON dbo.glacct TO tenderline_erp;
GRANT SELECT ON dbo.sycperd TO tenderline_erp;
GRANT SELECT ON dbo.soymst TO tenderline_erp;
GRANT SELECT ON dbo.soytrn TO tenderline_erp;
GRANT SELECT ON dbo.soyadr TO tenderline_erp;
GRANT SELECT ON dbo.arymst TO tenderline_erp;
GRANT SELECT ON dbo.arytrn TO tenderline_erp;
GRANT SELECT ON dbo.arycash TO tenderline_erp;
IF OBJECT_ID(N'dbo.icytrn') IS NOT NULL
GRANT SELECT ON dbo.icytrn TO tenderline_erp;
-- Exchange rates, where the site keeps a table of them.
IF OBJECT_ID(N'dbo.sycrate') IS NOT NULL
GRANT SELECT ON dbo.sycrate TO tenderline_erp;
-- Our own tables, made by the owner with what `tenderline setup` prints, in this database or (then in a script of its own) in another one.
GRANT SELECT, INSERT, UPDATE ON dbo.cyb_xref TO tenderline_erp;
GRANT SELECT, INSERT, UPDATE ON dbo.cyb_paystat TO tenderline_erp;
GRANT SELECT, INSERT, UPDATE ON dbo.cyb_change TO tenderline_erp;
GRANT SELECT, INSERT, UPDATE ON dbo.cyb_watermark TO tenderline_erp;
GO
-- Card columns that old versions left behind. The adapter never names one; the server must not give one out either. Lists what it denied.
DECLARE @deny NVARCHAR(MAX) = N'';
SELECT @deny = @deny + N'DENY SELECT, UPDATE ON dbo.' + QUOTENAME(t.name) + N' (' + QUOTENAME(c.name) + N') TO tenderline_erp;' + NCHAR(10)
FROM sys.columns c JOIN sys.tables t ON t.object_id = c.object_id
WHERE t.schema_id = SCHEMA_ID('dbo') AND (REPLACE(LOWER(c.name), '_', '') IN ('cc', 'ccno', 'ccnum', 'ccnumber', 'ccexp', 'ccexpdate', 'ccexpire', 'ccname', 'cctype', 'cccode', 'ccauth',
  'cccvv', 'cccvc', 'cccid', 'ccaddr', 'cczip', 'pan', 'expdate') OR LOWER(c.name) LIKE 'cc[0-9]' OR LOWER(c.name) LIKE 'card%' OR LOWER(c.name) LIKE 'crcard%'
  OR LOWER(c.name) LIKE 'creditcard%' OR LOWER(c.name) LIKE 'cvv%' OR LOWER(c.name) LIKE 'cvc%' OR LOWER(c.name) LIKE 'pan[_]%');
PRINT @deny;
EXEC sp_executesql @deny;
GO
