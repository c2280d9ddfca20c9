package activities_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// checksHere is how many cases a property test of this package draws, where the command line says nothing else: each plays gateway, ERP and
// journal for real, and the whole must stay within minutes under the race detector. More: go test ./activities -rapid.checks 1000.
const checksHere = "20"

func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", checksHere); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
