SELECT currid, ratedate, rate FROM sycrate kept WHERE ratedate = (SELECT MAX(late.ratedate) FROM sycrate late WHERE late.currid = kept.currid AND late.ratedate <= @p1) ORDER BY currid;
