package notify_test

import (
	"context"
	"encoding/json"
	"html"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/fault"
	"github.com/tenderline/tenderline/internal/journal"
	"github.com/tenderline/tenderline/internal/notify"
)

// shelf is a place with one order.
type shelf struct{ record journal.OrderRecord }

func (s shelf) Order(context.Context, string) (journal.OrderRecord, error) { return s.record, nil }

// write makes the mail of an order.
func write(t *testing.T, templates *notify.Templates, o canonical.Order, notice notify.Notice) (notify.Message, error) {
	t.Helper()
	input, err := json.Marshal(o)
	require.NoError(t, err)
	customers := notify.Customers{Orders: shelf{journal.OrderRecord{OrderID: o.OrderID, Input: input}}, Templates: templates}
	return customers.Write(t.Context(), notice)
}

func builtIn(t testing.TB) *notify.Templates {
	t.Helper()
	templates, err := notify.LoadTemplates("")
	require.NoError(t, err)
	return templates
}

func TestHostileNamesStayText(t *testing.T) {
	o := order("WEB-1")
	o.Customer.FirstName = "<script>alert(1)<br>\r\nBcc: all@x\u202e"
	o.Customer.LastName = "Park\r\nSubject: free money"
	message, err := write(t, builtIn(t), o, toCustomer(notify.OrderDelayed, "WEB-1"))
	require.NoError(t, err)
	require.NotContains(t, message.HTML, "<script")
	require.Contains(t, message.HTML, "<p>Hello,</p>", "what can't be a name is left out")
	require.NotContains(t, message.Subject+message.To.Name, "\n")

	o.Customer.FirstName = `<b onload="x">Ada & Co`
	message, err = write(t, builtIn(t), o, toCustomer(notify.OrderDelayed, "WEB-1"))
	require.NoError(t, err)
	require.Contains(t, message.HTML, "<p>Hello &lt;b onload=&#34;x&#34;&gt;Ada &amp; Co,</p>")
	require.Contains(t, message.Text, `Hello <b onload="x">Ada & Co,`)
}

func TestNamesThatAdvertiseAreLeftOut(t *testing.T) {
	for name, greeted := range map[string]bool{
		"Ada": true, "Jean-Luc": true, "Mary J. Ann": true, "Łukasz": true, "O'Neil": true, "李": true, "St. John": true,
		"Win at https://evil.example": false, "www.evil.example": false, "evil.com": false, "you won, mail me@evil": false, "a/b": false, strings.Repeat("x", 61): false,
	} {
		o := order("WEB-1")
		o.Customer.FirstName = name
		message, err := write(t, builtIn(t), o, toCustomer(notify.OrderRejected, "WEB-1"))
		require.NoError(t, err)
		if greeted {
			require.Contains(t, message.Text, "Hello "+name+",\n")
		} else {
			require.Contains(t, message.Text, "Hello,\n")
		}
	}
}

func TestARefundWithoutAnAmountIsToldToo(t *testing.T) {
	notice := toCustomer(notify.RefundCompleted, "WEB-1")
	notice.Data = nil
	message, err := write(t, builtIn(t), order("WEB-1"), notice)
	require.NoError(t, err)
	require.Contains(t, message.Text, "we have paid back your money for your order WEB-1")
	require.Contains(t, message.HTML, "we have paid back your money for your order")
}

func TestTemplatesOfTheSite(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	file("order.delayed.txt", "{{define \"subject\"}}Bestellung {{.Order}}\n dauert{{end}}Guten Tag {{.LastName}},\n{{range .Lines}}{{.Quantity}} x {{.Description}}\n{{end}}")
	file("notes.md", "not a template")
	templates, err := notify.LoadTemplates(dir)
	require.NoError(t, err)
	message, err := write(t, templates, order("WEB-1"), toCustomer(notify.OrderDelayed, "WEB-1"))
	require.NoError(t, err)
	require.Equal(t, "Bestellung WEB-1 dauert", message.Subject)
	require.Equal(t, "Guten Tag Park,\n2 x Widget\n", message.Text)
	require.Contains(t, message.HTML, "takes a little longer", "the other form is the built-in one")
}

func TestTemplatesThatDoNotWorkAreFoundAtLoad(t *testing.T) {
	const subject = "{{define \"subject\"}}s{{end}}"
	for name, test := range map[string]struct{ file, text, want string }{
		"syntax":            {"order.delayed.txt", subject + "\n\n{{if}}", "order.delayed.txt:3: missing value for if"},
		"syntax in HTML":    {"refund.completed.html", "<p>\n{{.Order}</p>", "refund.completed.html:2:"},
		"unknown field":     {"order.rejected.txt", subject + "\n{{.Reason}}", "order.rejected.txt:2:2: executing"},
		"unknown in HTML":   {"order.rejected.html", "<p>\n{{.Card}}</p>", "order.rejected.html:2:2: executing"},
		"only sometimes":    {"refund.completed.txt", subject + "Hello{{if not .FirstName}}\n{{.Nothing}}{{end}}", "refund.completed.txt:2:2: executing"},
		"refund of none":    {"order.delayed.txt", subject + "\n\n{{.Refund.Amount}}", "order.delayed.txt:3:"},
		"no subject":        {"order.delayed.txt", "Hello", `order.delayed.txt:1: has no {{define "subject"}}`},
		"empty subject":     {"order.delayed.txt", "{{define \"subject\"}} \n {{end}}Hello", "order.delayed.txt:1: makes an empty subject or body"},
		"empty body":        {"order.delayed.html", " \n", "order.delayed.html:1: makes an empty subject or body"},
		"too much":          {"order.delayed.txt", subject + "{{define \"r\"}}{{printf \"%1000s\" .}}{{end}}{{range $i := 1000}}{{template \"r\" \"x\"}}{{end}}", "order.delayed.txt: makes more than 262144 bytes"},
		"unsafe HTML":       {"order.delayed.html", "<a href=\"{{.Order}}\n", "order.delayed.html"},
		"misspelt":          {"order.delay.txt", "Hello", "order.delay.txt: there is no such mail; there are order.delayed, order.rejected, refund.completed"},
		"misspelt language": {"order.delayed.de.html", "Hello", "order.delayed.de.html: there is no such mail"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, test.file), []byte(test.text), 0o600))
			_, err := notify.LoadTemplates(dir)
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, dir)
		})
	}
	_, err := notify.LoadTemplates(filepath.Join(t.TempDir(), "absent"))
	require.Error(t, err)

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "order.delayed.txt"), []byte("{{"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "order.rejected.html"), []byte("{{"), 0o600))
	_, err = notify.LoadTemplates(dir)
	require.ErrorContains(t, err, "order.delayed.txt")
	require.ErrorContains(t, err, "order.rejected.html", "all at once")
}

func TestOrdersThatCanNotBeWrittenOf(t *testing.T) {
	customers := notify.Customers{Orders: shelf{journal.OrderRecord{Input: []byte(`{"customer":{"email":"ada@private.example`)}}, Templates: builtIn(t)}
	_, err := customers.Write(t.Context(), toCustomer(notify.OrderDelayed, "WEB-1"))
	require.True(t, fault.Is(err, fault.Value))
	require.NotContains(t, err.Error(), "private")
	_, err = customers.Write(t.Context(), toCustomer("order.forgotten", "WEB-1"))
	require.True(t, fault.Is(err, fault.Value))
}

// FuzzTemplates renders orders of hostile shops and buyers: whatever they hold, no markup comes of it, and no header.
func FuzzTemplates(f *testing.F) {
	f.Add("Ada", "Park", "web-us", "Widget", "12.00 USD", "ada@customer.example", uint8(0))
	f.Add("<script>", "\r\nBcc: x@y", "</title>{{.Order}}", "\x00\u202e", "<img src=x onerror=y>", "a@b.c\r\nRCPT TO:<x@y>", uint8(2))
	f.Add("\xff\xfe", "&lt;", "'\"`", "\u2028", "{{", "\"a b\"@x.y", uint8(1))
	templates := builtIn(f)
	kinds := notify.CustomerKinds()
	f.Fuzz(func(t *testing.T, first, last, channel, description, amount, email string, pick uint8) {
		kind := kinds[int(pick)%len(kinds)]
		o := order("WEB-1")
		o.Channel, o.Customer = channel, canonical.Customer{FirstName: first, LastName: last, Email: email}
		o.Lines = []canonical.LineItem{{Description: description, Quantity: decimal.NewFromInt(1)}}
		notice := notify.Notice{ID: "n", Kind: kind, Audience: notify.Customer, OrderID: "WEB-1", Data: map[string]string{"refundId": last, "amount": amount}}
		message, err := write(t, templates, o, notice)
		require.NoError(t, err)

		plain := order("WEB-1")
		plain.Customer.FirstName, plain.Customer.LastName = "", ""
		notice.Data = nil
		benign, err := write(t, templates, plain, notice)
		require.NoError(t, err)
		const emphasis = 2 // the amount of a refund, where there is one, is between two tags
		tags := strings.Count(message.HTML, "<") - strings.Count(benign.HTML, "<")
		require.True(t, tags == 0 || kind == notify.RefundCompleted && tags == emphasis, "%d tags more: %s", tags, message.HTML)
		require.True(t, utf8.ValidString(message.HTML+message.Text+message.Subject+message.To.Name))
		require.Contains(t, html.UnescapeString(message.HTML), "WEB-1")
		for _, line := range []string{message.Subject, message.To.Name} {
			require.NotContains(t, line, "\n")
			require.NotContains(t, line, "\r")
		}
		require.NotContains(t, message.Text, "\r")
	})
}
