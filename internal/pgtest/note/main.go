// Command note says, at the end of a test run, whether the tests on PostgreSQL could run on this machine, because a
// skipped test is easily overlooked. It fails under CI=true where they could not.
package main

import (
	"fmt"
	"os"

	"github.com/tenderline/tenderline/internal/pgtest"
)

func main() {
	err := pgtest.Available()
	if err == nil {
		fmt.Println("PostgreSQL: tests ran on a real server.")
		return
	}
	fmt.Printf(`
==============================================================================
  THE TESTS ON POSTGRESQL DID NOT RUN: %v.
  They are part of the suite. Install the server (Debian: apt-get install
  postgresql; macOS: brew install postgresql), or point
  TENDERLINE_TEST_POSTGRES at one, and run again.
==============================================================================
`, err)
	if os.Getenv("CI") == "true" {
		os.Exit(1)
	}
}
