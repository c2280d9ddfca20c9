//go:build !odbc

package sagepro

import "database/sql"

func openODBC(string) (*sql.DB, error) { return nil, errNoODBC }

func odbcState(error) (string, bool) { return "", false }
func odbcNative(error) (int32, bool) { return 0, false }
