// Command probe asks an address over HTTP and fails unless it answers 200: the health check of an image that has no shell.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

const patience = 4 * time.Second // a readiness check takes up to 3 s

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

// run asks the address that is the one argument. Redirects are not followed: another address may be healthy while this one is not.
func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: probe http://127.0.0.1:9090/readyz")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, args[0], http.NoBody) //nolint:gosec // the address is the operator's
	if err != nil {
		return err
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(request) //nolint:gosec // the address is the operator's
	if err != nil {
		return err
	}
	_ = answer.Body.Close() // the status is all that counts
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", args[0], answer.Status)
	}
	return nil
}
