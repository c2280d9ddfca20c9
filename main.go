// Command tenderline is the whole product in one binary: the worker, the HTTP API, and the command line for the people who run it.
// `tenderline help` lists the commands; docs/cli.md has examples, docs/configuration.md every setting.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/tenderline/tenderline/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, cli.Program{
		Args: os.Args[1:], Env: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	})
	stop()
	os.Exit(code)
}
