SELECT sysid, glyear, glperiod, startdt, enddt, isopen FROM sycperd ORDER BY sysid, startdt;
