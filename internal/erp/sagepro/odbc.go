//go:build odbc

package sagepro

import (
	"errors"

	"github.com/alexbrainman/odbc" // registers the driver "odbc"; needs cgo and unixODBC
)

// odbcState gives the SQLSTATE of an ODBC driver's error.
func odbcState(err error) (string, bool) {
	var got *odbc.Error
	if !errors.As(err, &got) || len(got.Diag) == 0 {
		return "", false
	}
	return got.Diag[0].State, true
}

// odbcNative gives the database's own number of an ODBC driver's error.
func odbcNative(err error) (int32, bool) {
	var got *odbc.Error
	if !errors.As(err, &got) || len(got.Diag) == 0 {
		return 0, false
	}
	return int32(got.Diag[0].NativeError), true
}
