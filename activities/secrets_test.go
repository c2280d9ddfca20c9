package activities_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/activities"
	"github.com/tenderline/tenderline/internal/canonical"
)

// TestNothingSecretIsLeftBehind plays a payment through every kind of answer and looks for what must not be there: in what is logged, in
// what Temporal keeps, and in the journal's files.
func TestNothingSecretIsLeftBehind(t *testing.T) {
	b := newBank(t)
	order := b.order(t, "WEB-1")
	browser, err := b.server.MintToken("approve", "")
	require.NoError(t, err)
	in := paying(t, order, 1, cardApproved, false)
	in.Token = canonical.Token{Type: canonical.TokenTransient, Value: browser}

	told := ""
	lose := func(err error) {
		require.Error(t, err)
		told += err.Error()
	}
	b.broken(t, payRoute, "drop_before", 1)
	_, err = try(b, b.payments.AuthorizePayment, in)
	lose(err)
	b.broken(t, searchRoute, "garbage", 1)
	_, err = try(b, b.payments.AuthorizePayment, in)
	lose(err)
	auth := must(t, b, b.payments.AuthorizePayment, in)
	require.Equal(t, activities.Authorized, auth.Result)
	must(t, b, b.payments.CapturePayment, capturing(order.OrderID, auth.Payment.AuthorizationID, 1))
	must(t, b, b.payments.VoidCapture, undoing(order.OrderID, 1))
	must(t, b, b.payments.ReverseAuthorization, undoing(order.OrderID, 1))
	expired := paying(t, order, 2, "99", true)
	require.Equal(t, activities.TokenRefused, must(t, b, b.payments.AuthorizePayment, expired).Result)

	kept := map[string]string{"log": b.logs.String(), "failures": told}
	files, err := filepath.Glob(b.file + "*")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		kept[filepath.Base(file)] = string(content)
	}
	require.Contains(t, kept["log"], "outside call")
	for place, content := range kept {
		for _, secret := range []string{
			browser, browser[:60], browser[len(browser)-60:], sharedSecret, keyID, expired.Token.Value, "4111111111111111", "411111", "Bearer ",
			"ada@example.com", "1 Market St", "Ada Park", "555 0100",
		} {
			require.NotContains(t, content, secret, "%s in the %s", secret[:min(len(secret), 12)], place)
		}
	}
}
