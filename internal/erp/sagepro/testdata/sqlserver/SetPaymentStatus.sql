BEGIN READ COMMITTED;
SET NOCOUNT OFF; SET XACT_ABORT ON; SET LOCK_TIMEOUT 2000;
INSERT INTO cyb_xref (company, entity, extref, amount, answer, created, currid, cybtxn, erpkey, payhash, state, updated) SELECT @p1, @p2, @p3, @p4, @p5, @p6, @p7, @p8, @p9, @p10, @p11, @p12 WHERE NOT EXISTS (SELECT 1 FROM cyb_xref WITH (UPDLOCK, HOLDLOCK) WHERE company = @p13 AND entity = @p14 AND extref = @p15);
SELECT id_col, sono, custno, sodate, ponum, shipvia, pterms, tax, ordamt, shpamt, sostat, sotype, loctid, currid, exchrat, sotrack, orderstat, lckstat, lckuser, lckdate, lcktime, 0 AS moved FROM somast WHERE sono = @p1 UNION ALL SELECT id_col, sono, custno, sodate, ponum, shipvia, pterms, tax, ordamt, shpamt, sostat, sotype, loctid, currid, exchrat, sotrack, orderstat, lckstat, lckuser, lckdate, lcktime, 1 AS moved FROM soymst WHERE sono = @p2;
INSERT INTO cyb_paystat (company, cybtxn, sono, amount, currid, paystatus, updated) SELECT @p1, @p2, @p3, @p4, @p5, @p6, @p7 WHERE NOT EXISTS (SELECT 1 FROM cyb_paystat WITH (UPDLOCK, HOLDLOCK) WHERE company = @p8 AND cybtxn = @p9 AND sono = @p10);
UPDATE cyb_xref SET answer = @p1, updated = @p2 WHERE company = @p3 AND entity = @p4 AND extref = @p5;
COMMIT;
