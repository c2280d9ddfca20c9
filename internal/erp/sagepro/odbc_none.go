//go:build !odbc

package sagepro

func odbcState(error) (string, bool) { return "", false }
func odbcNative(error) (int32, bool) { return 0, false }
