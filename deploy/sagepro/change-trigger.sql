-- Tells of changes at once, instead of at the next poll, on SQL Server. This alters the ERP's database: only with its owner's consent, tried on a copy first. Without it
-- nothing is missing; the poll finds the same changes later.
--
-- The triggers only note a number in cyb_outbox, in the transaction of whoever changed the row. An agent that sees notes wakes the poll, which reads what is
-- true by then, so that a note may be lost, late or doubled without harm:
--   temporal schedule trigger --schedule-id erp-changes/sagepro
-- and marks them sent (the last statement). They must never make a posting fail: a note is one insert into a table of ours without any check.
-- No identity column: programs that ask for @@IDENTITY after a row of theirs would get the note's.
IF OBJECT_ID('dbo.cyb_outbox_id') IS NULL CREATE SEQUENCE dbo.cyb_outbox_id AS BIGINT START WITH 1;
GO
IF OBJECT_ID('dbo.cyb_outbox') IS NULL
CREATE TABLE dbo.cyb_outbox (
  id BIGINT NOT NULL DEFAULT NEXT VALUE FOR dbo.cyb_outbox_id PRIMARY KEY,
  stream VARCHAR(24) NOT NULL,          -- credit_memo, shipment or sales_order
  number CHAR(10) NOT NULL,             -- invno or sono
  noted DATETIME2 NOT NULL DEFAULT SYSUTCDATETIME(),
  sent DATETIME2 NULL
);
GO
CREATE OR ALTER TRIGGER dbo.cyb_armast_outbox ON dbo.armast AFTER INSERT AS
BEGIN
  SET NOCOUNT ON;
  INSERT INTO dbo.cyb_outbox (stream, number)
  SELECT CASE WHEN i.artype = 'C' THEN 'credit_memo' ELSE 'shipment' END, i.invno FROM inserted i
  WHERE EXISTS (SELECT 1 FROM dbo.cyb_paystat p WHERE p.sono = i.ornum);   -- only of orders that a card paid
END;
GO
CREATE OR ALTER TRIGGER dbo.cyb_somast_outbox ON dbo.somast AFTER UPDATE AS
BEGIN
  SET NOCOUNT ON;
  IF NOT (UPDATE(sostat) OR UPDATE(orderstat) OR UPDATE(sotrack)) RETURN;
  INSERT INTO dbo.cyb_outbox (stream, number)
  SELECT 'sales_order', i.sono FROM inserted i JOIN deleted d ON d.id_col = i.id_col
  WHERE (i.sostat <> d.sostat OR i.orderstat <> d.orderstat OR i.sotrack <> d.sotrack) AND EXISTS (SELECT 1 FROM dbo.cyb_paystat p WHERE p.sono = i.sono);
END;
GO
GRANT SELECT, UPDATE ON dbo.cyb_outbox TO tenderline_erp;
GO
-- What the agent runs once it has woken the poll, with the highest id that it had seen:
--   UPDATE dbo.cyb_outbox SET sent = SYSUTCDATETIME() WHERE sent IS NULL AND id <= @seen;
