package cli

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tenderline/tenderline/internal/canonical"
)

// The variables of commands that talk to the API.
const (
	variableAPI    = "TENDERLINE_API_URL"
	variableAPIKey = "TENDERLINE_API_KEY" //nolint:gosec // a name, not a key
	defaultAPI     = "http://127.0.0.1:8080"
)

// remote is what commands that talk to the API share: where it is, who calls, and how the answer is printed.
type remote struct {
	output
	program      *Program
	address, key string
}

// remoteCommand completes a command whose run gets a client.
func (p *Program) remoteCommand(cmd *cobra.Command, run func(cmd *cobra.Command, args []string, r *remote, c *client) error) *cobra.Command {
	r := &remote{program: p}
	r.flag(cmd)
	cmd.Flags().StringVar(&r.address, "api", "", "address of the API (default $"+variableAPI+", else "+defaultAPI+")")
	cmd.Flags().StringVar(&r.key, "key", "", "API key; better kept in $"+variableAPIKey+", since others see command lines")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := r.check(); err != nil {
			return err
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		return run(cmd, args, r, c)
	}
	return cmd
}

func (r *remote) client() (*client, error) {
	address, key := r.address, r.key
	if address == "" {
		address, _ = r.program.lookup(variableAPI)
	}
	if address == "" {
		address = defaultAPI
	}
	if key == "" {
		key, _ = r.program.lookup(variableAPIKey)
	}
	return newClient(address, strings.TrimSpace(key)) // keys that come from files end in a line feed
}

func (p *Program) orderCommand() *cobra.Command {
	return group(&cobra.Command{
		Use: "order", Aliases: []string{"orders"},
		Short: "Submit, follow, list and cancel orders",
	}, p.orderSubmit(), p.orderStatus(), p.orderList(), p.orderCancel(), p.orderPayment())
}

func (p *Program) orderSubmit() *cobra.Command {
	var wait time.Duration
	cmd := p.remoteCommand(&cobra.Command{
		Use:   "submit FILE|-",
		Short: "Submit an order document (JSON)",
		Long: `Sends an order document, from a file or from standard input. A document with a card number in it is refused before anything is
sent. The same order again is answered with what became of it; nothing is done twice.`,
		Example: `  tenderline order submit order.json
  tenderline order submit --wait 15s -o json - < order.json`,
		Args: exactly("a file, or - for standard input"),
	}, func(cmd *cobra.Command, args []string, r *remote, c *client) error {
		if wait < 0 || wait > time.Hour {
			return usage("--wait must be between 0s and 1h")
		}
		document, err := p.document(args[0])
		if err != nil {
			return err
		}
		a, err := c.submitOrder(cmd.Context(), document, wait)
		if err != nil {
			return err
		}
		return r.write(cmd.OutOrStdout(), a, func(t *table) { showOrder(t, a.value) })
	})
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait so long for the payment's outcome, such as 15s; the API may wait less")
	return cmd
}

func (p *Program) orderStatus() *cobra.Command {
	return p.remoteCommand(&cobra.Command{
		Use: "status ORDER", Aliases: []string{"show"},
		Short:   "Show an order with its payment and timeline",
		Example: "  tenderline order status WEB-10001",
		Args:    exactly("an order id"),
	}, func(cmd *cobra.Command, args []string, r *remote, c *client) error {
		a, err := c.order(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return r.write(cmd.OutOrStdout(), a, func(t *table) { showOrder(t, a.value) })
	})
}

func showOrder(t *table, o order) {
	t.row("ORDER", o.OrderID)
	t.row("STATUS", o.Status)
	t.row("PAYMENT", o.PaymentStatus)
	t.field("REASON", o.Reason)
	t.row("NEEDS ATTENTION", yesNo(o.NeedsAttention))
	t.row("TOTAL", o.Total+" "+o.Currency)
	t.row("CHANNEL", o.Channel)
	t.field("ERP", o.Erp)
	t.field("ERP ORDER", o.ErpOrderNumber)
	t.field("ERP INVOICE", o.ErpInvoice)
	t.field("CUSTOMER", o.CustomerCode)
	t.field("RECEIVED", instant(o.ReceivedAt))
	t.field("UPDATED", instant(o.UpdatedAt))
	if m := o.Payment; m != nil {
		t.section("Payment")
		t.row("AUTHORIZED", m.Authorized, m.AuthorizationID)
		t.row("CAPTURED", m.Captured, m.CaptureID)
		t.row("REFUNDED", m.Refunded, "")
		if m.CardSuffix != "" {
			t.row("CARD", strings.TrimSpace("type "+m.CardType), "ends in "+m.CardSuffix)
		}
	}
	if len(o.Refunds) > 0 {
		t.section("Refunds")
		listRefunds(t, o.Refunds)
	}
	if len(o.Timeline) > 0 {
		t.section("Timeline")
		t.row("AT", "EVENT", "BY", "WHAT")
		for _, e := range o.Timeline {
			t.row(instant(e.At), e.Kind, e.Actor, e.Summary)
		}
	}
}

// page are the flags of a list.
type page struct {
	limit  int
	cursor string
}

func (p *page) flags(cmd *cobra.Command) {
	cmd.Flags().IntVar(&p.limit, "limit", 50, "most entries to show, 1 to 500")
	cmd.Flags().StringVar(&p.cursor, "cursor", "", "go on where a list before this one ended")
}

func (p *page) query() (url.Values, error) {
	if p.limit < 1 || p.limit > 500 {
		return nil, usage("--limit must be between 1 and 500")
	}
	query := url.Values{"limit": {strconv.Itoa(p.limit)}}
	if p.cursor != "" {
		query.Set("cursor", p.cursor)
	}
	return query, nil
}

// more tells people how to go on; programs read "next".
func (r *remote) more(cmd *cobra.Command, next string) error {
	if next == "" || r.form == outputJSON {
		return nil
	}
	_, err := fmt.Fprintln(cmd.ErrOrStderr(), "more: add --cursor", printable(next))
	return err
}

func (p *Program) orderList() *cobra.Command {
	var list page
	var status, channel string
	var attention bool
	cmd := p.remoteCommand(&cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short: "List orders, newest first",
		Example: `  tenderline order list --status in_review
  tenderline order list --attention --limit 10 -o json`,
		Args: exactly(),
	}, func(cmd *cobra.Command, _ []string, r *remote, c *client) error {
		query, err := list.query()
		if err != nil {
			return err
		}
		if status != "" {
			query.Set("status", status)
		}
		if channel != "" {
			query.Set("channel", channel)
		}
		if cmd.Flags().Changed("attention") {
			query.Set("needsAttention", strconv.FormatBool(attention))
		}
		a, err := c.orders(cmd.Context(), query)
		if err != nil {
			return err
		}
		err = r.write(cmd.OutOrStdout(), a, func(t *table) {
			t.row("ORDER", "STATUS", "PAYMENT", "TOTAL", "ERP ORDER", "ATTENTION", "RECEIVED", "CHANNEL")
			for _, o := range a.value.Orders {
				t.row(o.OrderID, o.Status, o.PaymentStatus, o.Total+" "+o.Currency, o.ErpOrderNumber, yesNo(o.NeedsAttention), instant(o.ReceivedAt), o.Channel)
			}
		})
		return errors.Join(err, r.more(cmd, a.value.Next))
	})
	list.flags(cmd)
	cmd.Flags().StringVar(&status, "status", "", "only orders of this status, such as in_review or confirmed")
	cmd.Flags().StringVar(&channel, "channel", "", "only orders of this channel")
	cmd.Flags().BoolVar(&attention, "attention", false, "only orders that need attention; =false: only those that don't")
	return cmd
}

func (p *Program) orderCancel() *cobra.Command {
	var reason string
	cmd := p.remoteCommand(&cobra.Command{
		Use:   "cancel ORDER --reason TEXT",
		Short: "Cancel an order that has not gone too far",
		Long: `Records the wish to cancel. It is honoured between two steps; what was done is taken back, money first. The order's status
tells when it is through.`,
		Example: `  tenderline order cancel WEB-10001 --reason "customer called"`,
		Args:    exactly("an order id"),
	}, func(cmd *cobra.Command, args []string, r *remote, c *client) error {
		a, err := c.cancelOrder(cmd.Context(), args[0], reason)
		if err != nil {
			return err
		}
		return r.write(cmd.OutOrStdout(), a, func(t *table) {
			t.row("ORDER", "STATUS", "RESULT")
			t.row(a.value.OrderID, a.value.Status, "cancellation recorded")
		})
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	return cmd
}

func (p *Program) orderPayment() *cobra.Command {
	var kind, value string
	cmd := p.remoteCommand(&cobra.Command{
		Use:   "payment ORDER --token-type TYPE --token VALUE|-",
		Short: "Give a declined order a new payment token",
		Example: `  tenderline order payment WEB-10001 --token-type transient --token - < token.jwt
  tenderline order payment WEB-10001 --token-type customer --token 1D2E3F0A9B8C7D6E5F4A3B2C1D0E9F8A`,
		Args: exactly("an order id"),
	}, func(cmd *cobra.Command, args []string, r *remote, c *client) error {
		token := canonical.Token{Type: canonical.TokenType(kind), Value: value}
		if kind == "" || value == "" {
			return usage("--token-type and --token are needed")
		}
		if value == "-" {
			text, err := p.document("-")
			if err != nil {
				return err
			}
			token.Value = strings.TrimSpace(string(text))
		}
		a, err := c.newToken(cmd.Context(), args[0], token)
		if err != nil {
			return err
		}
		return r.write(cmd.OutOrStdout(), a, func(t *table) {
			t.row("ORDER", "ATTEMPT")
			t.row(a.value.OrderID, strconv.Itoa(a.value.Attempt))
		})
	})
	cmd.Flags().StringVar(&kind, "token-type", "", "transient, customer, paymentInstrument or instrumentIdentifier")
	cmd.Flags().StringVar(&value, "token", "", "the token, or - to read it from standard input")
	return cmd
}

// documentLimit is the largest file that is read, in bytes.
const documentLimit = 16 << 20

// document reads a file, or standard input for "-".
func (p *Program) document(name string) (text []byte, err error) {
	from := p.Stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, usage("%w", err)
		}
		defer func() { _ = file.Close() }()
		from = file
	}
	text, err = io.ReadAll(io.LimitReader(from, documentLimit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(text) > documentLimit {
		return nil, fmt.Errorf("read %s: it has more than %d MiB", name, documentLimit>>20)
	}
	return text, nil
}
