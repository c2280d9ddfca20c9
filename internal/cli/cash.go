package cli

import (
	"errors"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// listedPayment is a payment as a list shows it. Amounts are decimals in Currency.
type listedPayment struct {
	OrderID     string    `json:"orderId"`
	Status      string    `json:"status"`
	Currency    string    `json:"currency"`
	Captured    string    `json:"captured"`
	Refunded    string    `json:"refunded"`
	ChargedBack string    `json:"chargedBack"`
	Refundable  string    `json:"refundable"`
	Open        bool      `json:"open"`
	SettledOn   string    `json:"settledOn"`
	BatchID     string    `json:"batchId"`
	CreatedAt   time.Time `json:"createdAt"`
}

type paymentPage struct {
	Payments []listedPayment `json:"payments"`
	Next     string          `json:"next"`
}

type cashPosition struct {
	From     string    `json:"from"`
	To       string    `json:"to"`
	TimeZone string    `json:"timeZone"`
	Days     []cashDay `json:"days"`
}

type cashDay struct {
	Date        string `json:"date"`
	Currency    string `json:"currency"`
	Authorized  string `json:"authorized"`
	Captured    string `json:"captured"`
	Refunded    string `json:"refunded"`
	Settled     string `json:"settled"`
	ChargedBack string `json:"chargedBack"`
	Due         string `json:"due"`
}

type stockPage struct {
	Stock []struct {
		Erp       string    `json:"erp"`
		StockCode string    `json:"stockCode"`
		Warehouse string    `json:"warehouse"`
		Available string    `json:"available"`
		At        time.Time `json:"at"`
	} `json:"stock"`
}

func (p *Program) paymentsCommand() *cobra.Command {
	return group(&cobra.Command{
		Use: "payments", Aliases: []string{"payment"},
		Short: "List payments with what was captured, refunded and settled",
	}, p.paymentsList())
}

func (p *Program) paymentsList() *cobra.Command {
	var list page
	var status, currency, settledOn, from, to string
	cmd := p.booksCommand(&cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short: "List payments, the latest first",
		Example: `  tenderline payments list --status captured --to 2026-11-15   # which should have settled
  tenderline payments list --settled-on 2026-11-20`,
		Args: exactly(),
	}, func(cmd *cobra.Command, _ []string, r *remote, c *client) error {
		query, err := list.query()
		if err != nil {
			return err
		}
		setGiven(query, map[string]string{"status": status, "currency": currency, "settledOn": settledOn, "from": from, "to": to})
		a, err := fetch[paymentPage](cmd.Context(), c, query, "payments")
		if err != nil {
			return err
		}
		err = r.write(cmd.OutOrStdout(), a, func(t *table) {
			t.row("ORDER", "STATUS", "CURRENCY", "CAPTURED", "REFUNDED", "CHARGED BACK", "REFUNDABLE", "OPEN", "SETTLED", "BATCH", "CREATED")
			for _, m := range a.value.Payments {
				t.row(m.OrderID, m.Status, m.Currency, m.Captured, m.Refunded, m.ChargedBack, m.Refundable, yesNo(m.Open), m.SettledOn, m.BatchID, instant(m.CreatedAt))
			}
		})
		return errors.Join(err, r.more(cmd, a.value.Next))
	})
	list.flags(cmd)
	cmd.Flags().StringVar(&status, "status", "", "only payments of this status, such as captured")
	cmd.Flags().StringVar(&currency, "currency", "", "only payments in this currency")
	cmd.Flags().StringVar(&settledOn, "settled-on", "", "only payments that a settlement of this day has shown")
	cmd.Flags().StringVar(&from, "from", "", "first day, in the merchant's time zone")
	cmd.Flags().StringVar(&to, "to", "", "last day")
	return cmd
}

func (p *Program) cashCommand() *cobra.Command {
	var from, to, report string
	cmd := p.booksCommand(&cobra.Command{
		Use:   "cash",
		Short: "Show the cash position: authorized, captured, settled, due, by day and currency",
		Long: `Shows what happened to the money of each day, in the merchant's time zone; without --from and --to, of the last week. DUE is what the
gateway owes for captures and refunds that no settlement has shown yet.`,
		Example: `  tenderline cash
  tenderline cash --from 2026-11-01 --to 2026-11-30 --report november.csv`,
		Args: exactly(),
	}, func(cmd *cobra.Command, _ []string, r *remote, c *client) error {
		if report != "" && reportFormat(report) != "csv" {
			return usage("--report must name a file that ends in .csv")
		}
		query := url.Values{}
		setGiven(query, map[string]string{"from": from, "to": to})
		a, err := fetch[cashPosition](cmd.Context(), c, query, "cash")
		if err != nil {
			return err
		}
		err = r.write(cmd.OutOrStdout(), a, func(t *table) {
			t.row("DATE", "CURRENCY", "AUTHORIZED", "CAPTURED", "REFUNDED", "SETTLED", "CHARGED BACK", "DUE")
			for _, d := range a.value.Days {
				t.row(d.Date, d.Currency, d.Authorized, d.Captured, d.Refunded, d.Settled, d.ChargedBack, d.Due)
			}
		})
		if err != nil || report == "" {
			return err
		}
		query.Set("format", "csv")
		return save(report, func(into io.Writer) error { return c.download(cmd.Context(), into, query, "cash") })
	})
	cmd.Flags().StringVar(&from, "from", "", "first day")
	cmd.Flags().StringVar(&to, "to", "", "last day")
	cmd.Flags().StringVar(&report, "report", "", "save the position, as .csv")
	return cmd
}

func (p *Program) stockCommand() *cobra.Command {
	return p.booksCommand(&cobra.Command{
		Use:     "stock [CODE...]",
		Short:   "Show free quantities, as the ERP last told them",
		Example: "  tenderline stock A100 B200",
		Args:    cobra.ArbitraryArgs,
	}, func(cmd *cobra.Command, args []string, r *remote, c *client) error {
		query := url.Values{}
		if len(args) > 0 {
			query["code"] = args
		}
		a, err := fetch[stockPage](cmd.Context(), c, query, "stock")
		if err != nil {
			return err
		}
		return r.write(cmd.OutOrStdout(), a, func(t *table) {
			t.row("STOCK CODE", "ERP", "WAREHOUSE", "AVAILABLE", "AT")
			for _, s := range a.value.Stock {
				t.row(s.StockCode, s.Erp, s.Warehouse, s.Available, instant(s.At))
			}
		})
	})
}
