SELECT item, itmdesc, avgcost, stkcode FROM icitem WHERE item IN (@p1, @p2);
SELECT item, loctid, lonhand, lsoaloc FROM iciloc WHERE item IN (@p1, @p2) AND loctid = @p3;
