package sagepro

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pay writes a payment as the integration does: rows of cash, and its own row about them.
func (c *company) pay(reference, transaction, letter, whole string, rows ...object) {
	c.t.Helper()
	refno := transaction
	if letter == "A" || letter == "V" || transaction == "" {
		refno = reference
	}
	for _, r := range rows {
		c.receive(last20(refno), r["invno"].(string), r["amount"].(string), letter)
	}
	c.exec("INSERT INTO cyb_xref (company, entity, extref, erpkey, cybtxn, amount, currid) VALUES ('01', 'receipt', ?, 'x', ?, ?, 'USD')", reference, transaction, whole)
}

// TestPayments reads what rows of cash mean: twenty characters of a reference, a letter, a sign.
func TestPayments(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		c.sell(widgets("WEB-1"))
		c.sell(widgets("WEB-2"))
		one := c.post("shipments", object{"OrderNumber": "WEB-1"})["InvoiceNumber"].(string)
		two := c.post("shipments", object{"OrderNumber": "WEB-2"})["InvoiceNumber"].(string)
		const capture, other = "7012345678901234567801", "7012345678901234567802"

		c.pay("receipt-WEB-1-with-a-long-name", capture, "R", "50", object{"invno": one, "amount": "48.19"}, object{"invno": depositInvoice, "amount": "1.81"})
		c.pay("deposit-WEB-2", other, "D", "40", object{"invno": depositInvoice, "amount": "40"})
		c.exec("UPDATE arcash SET ponum = 'WEB-2' WHERE refno = ?", last20(other))
		c.pay("apply-WEB-2", other, "A", "30", object{"invno": two, "amount": "30"}, object{"invno": depositInvoice, "amount": "-30"})
		c.sound()
		p := c.ledger().Payments
		require.Len(t, p, 3)
		require.Equal(t, []string{"receipt-WEB-1-with-a-long-name", typeReceipt, "50", "1.81", "WEB-1", capture},
			[]string{p[0].PaymentReference, p[0].PaymentType, p[0].Amount.String(), p[0].UnappliedAmount.String(), p[0].OrderNumber, p[0].TransactionId})
		require.Equal(t, []allocationRow{{one, money(dec("48.19"), "USD")}}, p[0].Allocations)
		require.Equal(t, []string{"deposit-WEB-2", typeDeposit, "40", "10", "WEB-2"},
			[]string{p[1].PaymentReference, p[1].PaymentType, p[1].Amount.String(), p[1].UnappliedAmount.String(), p[1].OrderNumber})
		require.Equal(t, []string{"apply-WEB-2", typeApply, "30", "deposit-WEB-2", "WEB-2"},
			[]string{p[2].PaymentReference, p[2].PaymentType, p[2].Amount.String(), p[2].SourceReference, p[2].OrderNumber})

		c.pay("reversal-1", capture, "V", "50", object{"invno": one, "amount": "-48.19"}, object{"invno": depositInvoice, "amount": "-1.81"})
		c.pay("reversal-2", other, "V", "40", object{"invno": two, "amount": "-30"}, object{"invno": depositInvoice, "amount": "-10"})
		c.sound()
		p = c.ledger().Payments
		require.Len(t, p, 5)
		require.True(t, p[0].Reversed)
		require.True(t, p[1].Reversed)
		require.True(t, p[2].Reversed, "its deposit is gone, and it with it")
		require.Equal(t, []string{"reversal-1", typeReversal, "50", "receipt-WEB-1-with-a-long-name", "WEB-1"},
			[]string{p[3].PaymentReference, p[3].PaymentType, p[3].Amount.String(), p[3].SourceReference, p[3].OrderNumber})
		require.Equal(t, []string{"reversal-2", typeReversal, "40", "deposit-WEB-2", "WEB-2"},
			[]string{p[4].PaymentReference, p[4].PaymentType, p[4].Amount.String(), p[4].SourceReference, p[4].OrderNumber})
		require.Equal(t, "Open", c.ledger().Invoices[0].InvoiceStatus)
	})
}

// TestPaymentsOfOneTransaction are told apart by what the integration booked: once for each of its rows, and twice where it was booked twice.
func TestPaymentsOfOneTransaction(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		c.sell(widgets("WEB-1"))
		invno := c.post("shipments", object{"OrderNumber": "WEB-1"})["InvoiceNumber"].(string)
		c.pay("first", "T1", "R", "20", object{"invno": invno, "amount": "20"})
		c.pay("second", "T1", "R", "28.19", object{"invno": invno, "amount": "28.19"})
		named := func() (names []string) {
			for _, p := range c.ledger().Payments {
				names = append(names, p.PaymentReference+" "+p.Amount.String())
			}
			return names
		}
		require.Equal(t, []string{"first 20", "second 28.19"}, named())
		c.receive("by hand", depositInvoice, "1", "R")
		require.Equal(t, []string{"first 20", "second 28.19", "by hand 1"}, named(), "people have no row of the integration's")
	})
}

// TestPaymentsByHand reads rows whose letter is the usual R, by their sign and what they are against.
func TestPaymentsByHand(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		c.sell(widgets("WEB-1"))
		invno := c.post("shipments", object{"OrderNumber": "WEB-1"})["InvoiceNumber"].(string)
		c.receive("A", invno, "48.19", "R")
		memo := c.post("credit-memos", object{"OriginalInvoice": invno})["CreditMemoNumber"].(string)
		c.receive("B", memo, "-48.19", "R")
		c.receive("C", depositInvoice, "7", "R")
		c.receive("C", depositInvoice, "-7", "R")
		c.sound()
		kinds := []string{}
		for _, p := range c.ledger().Payments {
			kinds = append(kinds, p.PaymentType)
		}
		require.Equal(t, []string{typeReceipt, typeRefund, typeDeposit, typeReversal}, kinds)
		require.True(t, c.ledger().Payments[2].Reversed)
	})
}

// TestPostings wants what AR, AP and the ledger's own batches come to, account by account (erp.md 5.2).
func TestPostings(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		c.sell(widgets("WEB-1"))
		c.exec("UPDATE sotran SET glsale = '4010' WHERE item = ?", code("FREIGHT", itemWidth))
		invno := c.post("shipments", object{"OrderNumber": "WEB-1"})["InvoiceNumber"].(string)
		c.receive("R-1", invno, "48.19", "R")
		memo := c.post("credit-memos", object{"OriginalInvoice": invno, "Amount": "48.19", "TaxAmount": "3.29", "Restock": true})["CreditMemoNumber"].(string)
		c.receive("F-1", memo, "-48.19", "F")
		c.receive("D-1", depositInvoice, "10", "D")
		c.exec(`INSERT INTO apmast (vendno, invno, purdate, puramt) VALUES ('CYBSRC', 'FEE-1', '2026-07-28', '9')`)
		c.exec(`INSERT INTO apdist (vendno, invno, seq, glacnt, amount) VALUES ('CYBSRC', 'FEE-1', 1, ?, '9')`, code("6100", glacntWidth))
		c.exec(`INSERT INTO glbatch (batchno, source, ref, trandate, glyear, glperiod, totdr, totcr) VALUES (?, 'CY', 'CYB20260728USD', '2026-07-28', 2026, 7, '5', '5')`, number("1"))
		c.exec(`INSERT INTO gltran (batchno, seq, glacnt, amount) VALUES (?, 1, ?, '5')`, number("1"), code("1010", glacntWidth))
		c.exec(`INSERT INTO gltran (batchno, seq, glacnt, amount) VALUES (?, 2, ?, '-5')`, number("1"), code("1050", glacntWidth))
		c.sound()
		want := map[string]string{
			"AR " + invno:       "1200 48.19, 2200 -3.29, 4000 -39.90, 4010 -5.00, 5000 25.00, 1300 -25.00",
			"AR " + memo:        "1200 -48.19, 2200 3.29, 4900 44.90, 5000 -25.00, 1300 25.00",
			"AR R-1":            "1050 48.19, 1200 -48.19",
			"AR F-1":            "1050 -48.19, 1200 48.19",
			"AR D-1":            "1050 10.00, 2300 -10.00",
			"AP FEE-1":          "2100 -9.00, 6100 9.00",
			"GL CYB20260728USD": "1010 5.00, 1050 -5.00",
		}
		found := map[string]string{}
		for _, p := range c.ledger().Postings {
			lines := []string{}
			for _, l := range p.Lines {
				lines = append(lines, l.AccountCode+" "+l.Amount.StringFixed(2))
			}
			slices.SortFunc(lines, func(a, b string) int { return slices.Index(accountOrder, a[:4]) - slices.Index(accountOrder, b[:4]) })
			found[p.Module+" "+p.Reference] = strings.Join(lines, ", ")
			require.Equal(t, "2026-07-28", p.Date)
			require.Equal(t, []int{2026, 7}, []int{p.GlYear, p.GlPeriod})
		}
		for name, lines := range want {
			parts := strings.Split(lines, ", ")
			slices.SortFunc(parts, func(a, b string) int { return slices.Index(accountOrder, a[:4]) - slices.Index(accountOrder, b[:4]) })
			want[name] = strings.Join(parts, ", ")
		}
		require.Equal(t, want, found)
		l := c.ledger()
		require.Equal(t, "CYB20260728USD", l.Journals[0].Reference)
		require.Equal(t, "5", l.Journals[0].Lines[1].Credit.String())
		require.Equal(t, []distributionRow{{"6100", money(dec("9"), "USD")}}, l.APInvoices[0].Distribution)
	})
}

var accountOrder = []string{"1010", "1050", "1200", "1300", "2100", "2200", "2300", "4000", "4010", "4900", "5000", "6100"}

// TestLedgerNames holds the ledger to the names that readers of the SYSPRO sandbox's go by.
func TestLedgerNames(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		c.sell(widgets("WEB-1"))
		c.exec("INSERT INTO cyb_xref (company, entity, extref, erpkey) VALUES ('01', 'customer', 'C-2001', 'WEB')")
		invno := c.post("shipments", object{"OrderNumber": "WEB-1", "TrackingNumber": "1Z"})["InvoiceNumber"].(string)
		c.receive("R-1", invno, "48.19", "R")
		memo := c.post("credit-memos", object{"OrderNumber": "WEB-1", "Amount": 20})["CreditMemoNumber"].(string)
		c.exec("INSERT INTO cyb_xref (company, entity, extref, erpkey) VALUES ('01', 'creditmemo', 'our-memo', ?)", memo)
		c.exec("INSERT INTO cyb_xref (company, entity, extref, state, cybtxn) VALUES ('01', 'memorefund', ?, 'Refunded', 'F1')", memo)
		var l map[string][]map[string]any
		c.decode("ledger", &l)
		for list, fields := range map[string][]string{
			"salesOrders": {"SalesOrder", "OrderNumber", "CustomerCode", "OrderStatus", "OrderStatusDescription", "Currency", "OrderTotal", "Payment", "LastModified", "OnHold", "LastInvoice", "LineItems", "Tracking"},
			"customers":   {"CustomerCode", "Name", "ExternalId", "CurrentBalance", "OpenOrderValue", "CreditLimit", "OnHold"},
			"invoices":    {"InvoiceNumber", "SalesOrder", "OrderNumber", "InvoiceStatus", "InvoiceTotal", "TaxAmount", "Balance", "Credited", "Currency", "Reference", "Payment"},
			"payments":    {"PaymentReference", "PaymentType", "Amount", "Currency", "Narration", "OrderNumber", "SourceReference", "Reversed", "Allocations", "TransactionId"},
			"creditMemos": {"CreditMemoNumber", "OrderNumber", "OriginalInvoice", "Amount", "Remaining", "RefundStatus", "RefundTransactionId", "Reason", "Reference", "Currency"},
			"shipments":   {"ShipmentNumber", "OrderNumber", "ShipmentStatus", "Carrier", "TrackingNumber", "Lines", "Partial", "InvoiceNumber"},
			"stock":       {"StockCode", "Warehouse", "QtyOnHand", "QtyAllocated", "QtyOnBackOrder", "QtyOnOrder"},
			"postings":    {"Module", "Date", "Currency", "Reference", "Lines"},
		} {
			require.NotEmpty(t, l[list], list)
			for _, f := range fields {
				require.Contains(t, l[list][0], f, list)
			}
		}
		for _, list := range []string{"journals", "apInvoices"} {
			require.NotNil(t, l[list], "an empty list, not none")
		}
		require.Equal(t, "Captured", l["salesOrders"][0]["Payment"].(map[string]any)["PaymentStatus"])
		require.Equal(t, json.Number("48.19"), l["salesOrders"][0]["OrderTotal"])
		require.Equal(t, "C-2001", l["customers"][0]["ExternalId"])
		require.Equal(t, []any{"our-memo", "Refunded", "F1", invno}, []any{l["creditMemos"][0]["Reference"], l["creditMemos"][0]["RefundStatus"],
			l["creditMemos"][0]["RefundTransactionId"], l["creditMemos"][0]["OriginalInvoice"]})
		require.Equal(t, "WEB-1", l["payments"][0]["Narration"])
	})
}

// TestTables shows every row as it is, but for what is nobody's business.
func TestTables(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		c.sell(widgets("WEB-1"))
		_, answer := c.call(http.MethodGet, "tables", nil)
		require.NotContains(t, string(answer), legacyCard)
		require.NotContains(t, string(answer), "cc_exp")
		var found struct{ Tables map[string][]map[string]any }
		require.NoError(t, json.Unmarshal(answer, &found))
		require.Len(t, found.Tables, len(tables(c.server.dialect.schema())))
		require.Equal(t, number("10245"), found.Tables["somast"][0]["sono"])
		require.Equal(t, "48.19", strings.TrimRight(found.Tables["somast"][0]["ordamt"].(string), "0"))
		require.Equal(t, legacyCard, c.card(), "it is there all the same")
	})
}

func (c *company) card() (card string) {
	require.NoError(c.t, c.client.GetContext(c.t.Context(), &card, "SELECT ccno FROM arcust WHERE custno = 'WEB   '"))
	return card
}

// TestSchemasAgree wants the same tables, columns and lengths of both databases.
func TestSchemasAgree(t *testing.T) {
	t.Parallel()
	postgres, sqlite := PostgresSchema(), withHistory(schemaSQLite)
	require.Equal(t, tables(postgres), tables(sqlite))
	shape := func(schema string, length *regexp.Regexp) map[string]map[string]string {
		found := map[string]map[string]string{}
		for _, body := range regexp.MustCompile(`(?s)CREATE TABLE IF NOT EXISTS (\w+) \((.*?)\n\);`).FindAllStringSubmatch(schema, -1) {
			columns := map[string]string{}
			for _, m := range length.FindAllStringSubmatch(body[2], -1) {
				columns[strings.Trim(m[1], `"`)] = m[2]
			}
			found[body[1]] = columns
		}
		return found
	}
	texts := shape(postgres, regexp.MustCompile(`("?\w+"?) (?:VAR)?CHAR\((\d+)\)`))
	checked := shape(sqlite, regexp.MustCompile(`length\(("?\w+"?)\) (?:<=|=|IN \(0,) (\d+)\)`))
	require.Equal(t, texts, checked)
	places := shape(postgres, regexp.MustCompile(`("?\w+"?) NUMERIC\(\d+,(\d)\)`))
	kept := map[string]map[string]string{}
	for table, columns := range shape(sqlite, regexp.MustCompile(`("?\w+"?) NOT LIKE '%\.(_+)%'`)) {
		kept[table] = map[string]string{}
		for column, marks := range columns {
			kept[table][column] = string(rune('0' + len(marks) - 1))
		}
	}
	require.Equal(t, places, kept)
}

// TestStrict has both databases refuse what the real one refuses.
func TestStrict(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		sono := number(c.sell(widgets("WEB-1")))
		for what, do := range map[string]string{
			"a text that is too long":   "UPDATE somast SET shipvia = 'a way that is longer than the column'",
			"a date that is none":       "UPDATE somast SET sodate = 'some day'",
			"an amount that is none":    "UPDATE somast SET ordamt = '1e3x'",
			"an unknown status":         "UPDATE somast SET sostat = 'Z'",
			"an unknown type":           "UPDATE armast SET artype = 'Z'; INSERT INTO armast (invno, custno, invdte, invamt, balance, artype) VALUES ('       9-1', 'WEB   ', '2026-07-28', '0', '0', 'Z')",
			"a number twice":            "INSERT INTO somast (sono, custno, sodate) VALUES ('" + sono + "', 'WEB   ', '2026-07-28')",
			"an order without customer": "INSERT INTO somast (sono, sodate) VALUES ('       9-2', '2026-07-28')",
			"no movement at all":        "INSERT INTO ictran (ttranno, trantyp, item, loctid, tdate, tqty) VALUES ('1', 'R', '" + code("A100", itemWidth) + "', 'N  ', '2026-07-28', '0')",
			"an item against the rules": "INSERT INTO sotran (sono, tranlineno, custno, item) VALUES ('" + sono + "', 9, 'WEB   ', '" + code("FAIL422", itemWidth) + "')",
			"an invoice against them":   "INSERT INTO artran (invno, item) VALUES ('" + sono + "', '" + code("FAILINV", itemWidth) + "')",
		} {
			_, err := c.client.ExecContext(t.Context(), do)
			require.Error(t, err, what)
		}
		if c.client.DriverName() == "sqlite" {
			for what, do := range map[string]string{
				"a key without its blanks": "UPDATE somast SET sono = '10245'",
				"a time for a date":        "UPDATE somast SET sodate = '2026-07-28T00:00:00Z'",
				"five places":              "UPDATE somast SET ordamt = '1.00001'",
			} {
				_, err := c.client.ExecContext(t.Context(), do)
				require.Error(t, err, what)
			}
		}
		paid := widgets("WEB-2")
		paid.item = "FAILPAY"
		invno := c.post("shipments", object{"SalesOrder": c.sell(paid)})["InvoiceNumber"].(string)
		_, err := c.client.ExecContext(t.Context(), c.client.Rebind("INSERT INTO arcash (custno, invno, dtepaid, paidamt, refno) VALUES ('WEB   ', ?, '2026-07-28', '1', 'R')"), number(invno))
		require.ErrorContains(t, err, "FAILPAY")
		c.post("credit-memos", object{"OriginalInvoice": invno})
		c.sound()
	})
}

// TestStateIsTheDatabase opens a company again and finds it as it was; a reset makes it new, numbers included.
func TestStateIsTheDatabase(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pro 01.db")
	c := openCompany(t, Config{Dialect: "sqlite", DSN: file})
	first := c.sell(widgets("WEB-1"))
	again := openCompany(t, Config{Dialect: "sqlite", DSN: file})
	require.Equal(t, c.ledger(), again.ledger())
	again.post("periods", object{"Module": "AR", "Open": []string{}})
	require.Equal(t, 4, openCompany(t, Config{Dialect: "sqlite", DSN: "file:" + strings.ReplaceAll(file, " ", "%20")}).count("sycperd WHERE isopen = 'Y'"), "periods stay closed")
	again.post("reset", nil)
	require.Equal(t, first, again.sell(widgets("WEB-1")))
	require.Equal(t, 6, again.count("sycperd WHERE isopen = 'Y'"))
	require.Equal(t, 1, again.count("somast WHERE id_col = 1"))
}

func TestConfigRefused(t *testing.T) {
	t.Parallel()
	file := file(t)
	for name, config := range map[string]Config{
		"unknown dialect": {Dialect: "oracle", DSN: file},
		"no DSN":          {Dialect: "sqlite"},
		"in memory":       {Dialect: "sqlite", DSN: ":memory:"},
		"bad query":       {Dialect: "sqlite", DSN: "file:x.db?%zz"},
		"bad DSN":         {Dialect: "postgres", DSN: "postgres://%zz secret"},
		"nobody there":    {Dialect: "postgres", DSN: "postgres://u@127.0.0.1:1/x?sslmode=disable&connect_timeout=2"},
		"company":         {Dialect: "sqlite", DSN: file, Company: "1'"},
		"no directory":    {Dialect: "sqlite", DSN: filepath.Join(t.TempDir(), "none", "pro01.db")},
	} {
		_, err := New(t.Context(), config)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestSeed(t *testing.T) {
	onBoth(t, func(t *testing.T, c *company) {
		c.sound()
		require.Equal(t, 1, c.count("sycnext WHERE sysid = 'SO01' AND keyname = 'sono' AND nextval = 10245"))
		require.Equal(t, 1, c.count("apvend WHERE vendno = 'CYBSRC'"))
		require.Equal(t, len(chart), c.count("glacct"))
		require.Equal(t, 1, c.count("glacct WHERE active = 'N'"))
		require.Equal(t, 1, c.count("arcust WHERE custno = 'ONHOLD' AND credstat = 'H'"))
		require.Equal(t, "1000000", stockOf(c.ledger(), "A100", "N").QtyOnHand.String())
		require.Equal(t, "100000.5", stockOf(c.ledger(), "C100", "N").QtyOnHand.String())
	})
}
