SELECT entity, extref, erpkey, cybtxn, payhash, state, amount, currid, answer, updated FROM cyb_xref WHERE company = @p1 AND entity = @p2 AND extref = @p3;
SELECT batchno, ref, glyear, glperiod, totdr FROM glbatch WHERE batchno = @p1;
SELECT glacnt, amount FROM gltran WHERE batchno = @p1 ORDER BY seq;
