package config_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/config"
)

func TestAMerchantsDays(t *testing.T) {
	c := load(t, nil)
	_, known := c.Merchant("")
	require.False(t, known, "no merchant is configured")

	c = load(t, map[string]string{
		"TENDERLINE_CYBERSOURCE_MERCHANT_ID": "acme_us", "TENDERLINE_SETTLEMENT_TIME_ZONE": "America/Los_Angeles",
		"TENDERLINE_SETTLEMENT_TOLERANCE": "USD=0.10, JPY=1, *=0", "TENDERLINE_SETTLEMENT_SITE": "branch=10, journal = 7",
		"TENDERLINE_SETTLEMENT_GROUP_BY": "cardType,merchantDefinedData.2",
	})
	merchant, known := c.Merchant("")
	require.True(t, known)
	require.Equal(t, []string{"acme_us", "syspro", "06:00", "24:00", "park"},
		[]string{merchant.ID, merchant.Erp, merchant.Settlement.At, merchant.Settlement.Cutoff, merchant.Settlement.Mismatch})
	require.True(t, merchant.Settlement.Tolerance["USD"].Equal(decimal.RequireFromString("0.1")))
	require.True(t, merchant.Settlement.Tolerance["*"].IsZero())
	require.Equal(t, config.Pairs{"branch": "10", "journal": "7"}, merchant.Settlement.Site)
	require.Len(t, merchant.Settlement.Reports, 5)
	require.Equal(t, config.Report{Name: "PaymentBatchDetailReport_Daily", Kind: "payment_batch_detail", Format: "csv", Needed: true}, merchant.Settlement.Reports[0])
	require.Equal(t, 12*time.Hour, merchant.Steps.ErpPatience)
	_, known = c.Merchant("acme_us")
	require.True(t, known)
	_, known = c.Merchant("acme_eu")
	require.False(t, known)
}

func TestAnERPIsAskedForChanges(t *testing.T) {
	c := load(t, map[string]string{"TENDERLINE_SYSPRO_CHANGES_WEBHOOK_KEYS": "new:c2VjcmV0,old:b2xk"})
	changes, known := c.Changes("syspro")
	require.True(t, known)
	require.True(t, changes.Polls())
	require.Equal(t, []string{"credit_memo", "shipment", "sales_order", "stock"}, changes.Feeds)
	keys, err := changes.WebhookKeySet()
	require.NoError(t, err)
	require.Len(t, keys, 2)
	_, known = c.Changes("sap")
	require.False(t, known)
}

func TestOrdersAreCapturedOnShipmentWhereShipmentsAreHeardOf(t *testing.T) {
	for name, test := range map[string]struct {
		env  map[string]string
		want bool
	}{
		"polled":         {nil, true},
		"not polled":     {map[string]string{"TENDERLINE_SYSPRO_CHANGES_INTERVAL": "0s"}, false},
		"other feeds":    {map[string]string{"TENDERLINE_SYSPRO_CHANGES_FEEDS": "credit_memo,stock"}, false},
		"one feed alone": {map[string]string{"TENDERLINE_SYSPRO_CHANGES_FEEDS": "shipment"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := load(t, test.env)
			channel, known := c.Channel("web-us")
			require.True(t, known)
			require.Equal(t, test.want, c.CapturesOnShipment(channel))
		})
	}
	c := load(t, nil)
	require.False(t, c.CapturesOnShipment(config.Channel{Erp: "sap"}))
}

func TestSettlementSettingsThatAreRefused(t *testing.T) {
	for name, test := range map[string]struct{ variable, value, want string }{
		"time of day":      {"SETTLEMENT_AT", "6 am", "must be a time of day such as 06:00, or off"},
		"end of the day":   {"SETTLEMENT_AT", "24:00", "must be a time of day such as 06:00, or off"},
		"cut-off":          {"SETTLEMENT_CUTOFF", "25:00", "must be a time of day"},
		"time zone":        {"SETTLEMENT_TIME_ZONE", "Mars/Base", "must be the name of a time zone"},
		"this machine's":   {"SETTLEMENT_TIME_ZONE", "Local", "must be the name of a time zone"},
		"mode":             {"SETTLEMENT_MODE", "both", "must be detail or summary"},
		"mismatch":         {"SETTLEMENT_MISMATCH", "ignore", "must be park or suspense"},
		"fees":             {"SETTLEMENT_FEES", "none", "must be journal or invoice"},
		"closed period":    {"SETTLEMENT_CLOSED_PERIOD", "reopen", "must be next_open or park"},
		"ledger":           {"SETTLEMENT_ERP", "sap", "must be " + anyERP()},
		"grouping":         {"SETTLEMENT_GROUP_BY", "cardType,shoeSize", "must hold cardType"},
		"grouping twice":   {"SETTLEMENT_GROUP_BY", "cardType,cardType", "each once"},
		"tolerance":        {"SETTLEMENT_TOLERANCE", "USD=-1", "must be currency=amount"},
		"currency":         {"SETTLEMENT_TOLERANCE", "dollar=1", "must be currency=amount"},
		"tolerance twice":  {"SETTLEMENT_TOLERANCE", "USD=1,USD=2", "each currency once"},
		"site":             {"SETTLEMENT_SITE", "branch", "entry 1 must be name=value"},
		"site twice":       {"SETTLEMENT_SITE", "a=1,a=2", "entry 2 has the name of an earlier one"},
		"report":           {"SETTLEMENT_REPORTS", "Daily", "entry 1 must be name=kind:format"},
		"report's kind":    {"SETTLEMENT_REPORTS", "Daily=everything:csv", "entry 1 must be name=kind:format"},
		"report's format":  {"SETTLEMENT_REPORTS", "Daily=fee_detail:pdf", "entry 1 must be name=kind:format"},
		"report's end":     {"SETTLEMENT_REPORTS", "Daily=payment_batch_detail:csv:wanted", "entry 1 may end in :needed and :signed only"},
		"no transactions":  {"SETTLEMENT_REPORTS", "Daily=fee_detail:csv", "must have one of kind payment_batch_detail"},
		"suffix":           {"SETTLEMENT_SUFFIX", "too-long", "must be a capital letter and up to 5 of A-Z and 0-9"},
		"suffix's letter":  {"SETTLEMENT_SUFFIX", "2", "must be a capital letter and up to 5 of A-Z and 0-9"},
		"window":           {"SETTLEMENT_WINDOW", "-1h", "must not be negative"},
		"catch-up":         {"SETTLEMENT_CATCH_UP", "0s", "must be longer than 0"},
		"reminder":         {"CHARGEBACK_REMIND", "-1h", "must be longer than 0"},
		"feed":             {"SYSPRO_CHANGES_FEEDS", "invoices", "must be credit_memo, shipment, sales_order or stock"},
		"feed twice":       {"SYSPRO_CHANGES_FEEDS", "stock,stock", "names stock twice"},
		"restless":         {"SYSPRO_CHANGES_INTERVAL", "10ms", "must be at least 1s, or 0"},
		"overlap":          {"SYSPRO_CHANGES_OVERLAP", "-1s", "must not be negative"},
		"empty pages":      {"SYSPRO_CHANGES_PAGE_SIZE", "0", "must be at least 1"},
		"signature's age":  {"SYSPRO_CHANGES_WEBHOOK_MAX_AGE", "0s", "must be longer than 0"},
		"cancelled by ERP": {"POLICY_ERP_CANCELLED", "refund", "must be propose_refund, tell or ignore"},
		"held by ERP":      {"POLICY_ERP_HELD", "propose_refund", "must be tell or ignore"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(config.Map(map[string]string{"TENDERLINE_" + test.variable: test.value}))
			require.ErrorContains(t, err, "TENDERLINE_"+test.variable)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestWhoseExchangeRatesHold(t *testing.T) {
	const from = "TENDERLINE_SETTLEMENT_RATES_FROM"
	require.Equal(t, config.RatesOfSettings, load(t, nil).Settlement.RatesFrom)
	for name, test := range map[string]struct {
		env  map[string]string
		want string // "": it is well
	}{
		"of the ERP":               {map[string]string{from: "erp", "TENDERLINE_ERP": "sagepro"}, ""},
		"of the ledger's ERP":      {map[string]string{from: "erp", "TENDERLINE_SETTLEMENT_ERP": "sagepro"}, ""},
		"of the settings":          {map[string]string{from: "settings", "TENDERLINE_SETTLEMENT_RATES": "EUR/USD=1.08"}, ""},
		"of somebody else":         {map[string]string{from: "bank"}, from + " must be settings or erp"},
		"of an ERP without":        {map[string]string{from: "erp"}, from + " can't be erp: syspro can't be asked for exchange rates"},
		"of another ERP":           {map[string]string{from: "erp", "TENDERLINE_ERP": "sagepro", "TENDERLINE_SETTLEMENT_ERP": "syspro"}, "syspro can't be asked"},
		"of nobody's ERP":          {map[string]string{from: "erp", "TENDERLINE_SETTLEMENT_ERP": "sap"}, "sap can't be asked"},
		"of the ERP, and fixed":    {map[string]string{from: "erp", "TENDERLINE_ERP": "sagepro", "TENDERLINE_SETTLEMENT_RATES": "EUR/USD=1.08"}, from + " is erp, so TENDERLINE_SETTLEMENT_RATES and"},
		"of the ERP, and a file's": {map[string]string{from: "erp", "TENDERLINE_ERP": "sagepro", "TENDERLINE_SETTLEMENT_RATES_FILE": "rates.csv"}, from + " is erp, so"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(config.Map(test.env))
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestKeysOfPushedChangesAreChecked(t *testing.T) {
	c := load(t, map[string]string{"TENDERLINE_SYSPRO_CHANGES_WEBHOOK_KEYS": "new:s3cret!"})
	err := c.Check(config.UseAPI)
	require.ErrorContains(t, err, "TENDERLINE_SYSPRO_CHANGES_WEBHOOK_KEYS entry 1 holds a key that is not base64")
	require.NotContains(t, err.Error(), "s3cret")
}

func TestChannelsThatHearOfStock(t *testing.T) {
	c := load(t, map[string]string{"TENDERLINE_CALLBACK_STOCK": "true", "TENDERLINE_CHANNELS": `{"web-us":{},"web-eu":{"stockCallbacks":false}}`})
	us, _ := c.Channel("web-us")
	eu, _ := c.Channel("web-eu")
	require.Equal(t, []bool{true, false}, []bool{us.StockCallbacks, eu.StockCallbacks})
}

func TestExchangeRates(t *testing.T) {
	var rates config.Rates
	require.NoError(t, rates.Decode("EUR/USD=1.0812, JPY/USD=0.0065"))
	require.Equal(t, "1.0812", rates["EUR/USD"].String())
	for _, wrong := range []string{"EUR=1.08", "EUR/USD", "EUR/USD=0", "EUR/USD=-1", "eur/usd=1", "EUR/USD=1.08,EUR/USD=1.09", "EUR/USD=1e3"} {
		require.Error(t, rates.Decode(wrong), wrong)
	}
}
