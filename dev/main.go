// tenderline-dev runs everything in one process on this machine: see the package internal/demo.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/tenderline/tenderline/dev/internal/demo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	status := demo.Main(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}
