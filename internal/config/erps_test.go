package config_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/config"
)

// anyERP is how a refusal names the ERPs that there are adapters for.
func anyERP() string {
	names := config.KnownERPs()
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// twoERPs are the settings of a site with both ERPs.
func twoERPs(more map[string]string) map[string]string {
	env := map[string]string{"TENDERLINE_CHANNELS": `{"web-us":{"erp":"sagepro"},"web-eu":{"erp":"syspro"},"*":{}}`}
	maps.Copy(env, more)
	return env
}

func TestEveryERPHasSettings(t *testing.T) {
	require.NotEmpty(t, config.KnownERPs())
	for _, name := range config.KnownERPs() {
		settings, known := load(t, nil).ERPSettings(name)
		require.True(t, known)
		require.Equal(t, 25*time.Second, settings.Timeout, name)
		require.Equal(t, 20.0, settings.Outbound.Rate, name)
		require.True(t, settings.Changes.Polls(), name)
	}
	_, known := load(t, nil).ERPSettings("sap")
	require.False(t, known)
}

func TestERPsOfADeployment(t *testing.T) {
	for name, test := range map[string]struct {
		env            map[string]string
		all, served    []string
		polled, ledger string
	}{
		"one by default":           {nil, []string{"syspro"}, []string{"syspro"}, "syspro", "syspro"},
		"another one":              {map[string]string{"TENDERLINE_ERP": "sagepro"}, []string{"sagepro"}, []string{"sagepro"}, "sagepro", "sagepro"},
		"two, by channel":          {twoERPs(nil), []string{"sagepro", "syspro"}, []string{"sagepro", "syspro"}, "sagepro", "syspro"},
		"one of two is this one's": {twoERPs(map[string]string{"TENDERLINE_WORKER_ERPS": "syspro"}), []string{"sagepro", "syspro"}, []string{"syspro"}, "syspro", "syspro"},
		"beside an ERP that no channel here names": {
			map[string]string{"TENDERLINE_WORKER_ERPS": "sagepro,sagepro"}, []string{"syspro"}, []string{"sagepro"}, "syspro", "syspro",
		},
		"a ledger of its own": {
			map[string]string{"TENDERLINE_SETTLEMENT_ERP": "sagepro"}, []string{"sagepro", "syspro"}, []string{"sagepro", "syspro"}, "syspro", "sagepro",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := load(t, test.env)
			require.Equal(t, test.all, c.ERPs())
			require.Equal(t, test.served, c.ServedERPs())
			require.Equal(t, test.ledger, c.SettlementErp())
			_, polled := c.Changes(test.polled)
			require.True(t, polled)
		})
	}
	c := load(t, map[string]string{"TENDERLINE_SETTLEMENT_ERP": "sagepro"})
	_, polled := c.Changes("sagepro")
	require.False(t, polled, "nobody ships from an ERP that no order is booked in")
}

func TestAChannelNamesItsERP(t *testing.T) {
	c := load(t, twoERPs(map[string]string{"TENDERLINE_SAGEPRO_CHANGES_FEEDS": "stock"}))
	for name, want := range map[string]string{"web-us": "sagepro", "web-eu": "syspro", "web-mars": "syspro"} {
		channel, found := c.Channel(name)
		require.True(t, found)
		require.Equal(t, want, channel.Erp)
		require.Equal(t, want == "syspro", c.CapturesOnShipment(channel), "the feeds are those of the channel's ERP")
	}
}

func TestStepsAreLongerThanOneCallToTheirERP(t *testing.T) {
	for name, test := range map[string]struct {
		env  map[string]string
		want string // "": it is well
	}{
		"the ERP of all channels": {
			map[string]string{"TENDERLINE_ERP": "sagepro", "TENDERLINE_SAGEPRO_TIMEOUT": "40s"},
			"TENDERLINE_SAGEPRO_TIMEOUT must be shorter than TENDERLINE_POLICY_STEP_TIMEOUT",
		},
		"an ERP that nobody uses": {map[string]string{"TENDERLINE_SAGEPRO_TIMEOUT": "40s"}, ""},
		"the ERP that this worker serves": {
			map[string]string{"TENDERLINE_WORKER_ERPS": "sagepro", "TENDERLINE_SAGEPRO_TIMEOUT": "40s"},
			"TENDERLINE_SAGEPRO_TIMEOUT must be shorter than TENDERLINE_POLICY_STEP_TIMEOUT",
		},
		"a channel's own steps": {
			map[string]string{
				"TENDERLINE_CYBERSOURCE_TIMEOUT": "5s", "TENDERLINE_CALLBACK_TIMEOUT": "5s", "TENDERLINE_SYSPRO_TIMEOUT": "5s",
				"TENDERLINE_CHANNELS": `{"web-us":{"erp":"sagepro","policy":{"stepTimeout":"25s"}},"web-eu":{"policy":{"stepTimeout":"6s"}}}`,
			},
			"channel web-us: policy stepTimeout must be longer than TENDERLINE_SAGEPRO_TIMEOUT",
		},
		"another channel's ERP is slower": {
			map[string]string{
				"TENDERLINE_CYBERSOURCE_TIMEOUT": "5s", "TENDERLINE_CALLBACK_TIMEOUT": "5s", "TENDERLINE_SYSPRO_TIMEOUT": "5s",
				"TENDERLINE_CHANNELS": `{"web-us":{"erp":"sagepro"},"web-eu":{"policy":{"stepTimeout":"6s"}}}`,
			}, "",
		},
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

func TestSageProSettingsThatAreRefused(t *testing.T) {
	for name, test := range map[string]struct{ variable, value, want string }{
		"dialect":            {"DIALECT", "foxpro", "must be sqlserver, postgres or sqlite"},
		"driver":             {"DRIVER", "postgres", "must be sqlserver or odbc"},
		"company":            {"COMPANY", "001", "must be two capital letters or digits"},
		"user":               {"USER", "TENDERLINE", "must be 1 to 4 letters or digits"},
		"freight item":       {"FREIGHT_ITEM", "freight & packing", "must be an item code"},
		"location":           {"LOCATION", "NORTH", "must be 1 to 3 letters or digits"},
		"customer's letters": {"CUSTOMER_PREFIX", "WEBS", "must be 1 to 3 capital letters"},
		"stale lock":         {"STALE_LOCK", "-1m", "must not be negative"},
		"busy pause":         {"BUSY_PAUSE", "0s", "must be longer than 0"},
		"time zone":          {"TIME_ZONE", "Local", "must be the name of a time zone"},
		"time-out":           {"TIMEOUT", "0s", "must be longer than 0"},
		"breaker":            {"BREAKER_RATIO", "2", "must be between 0 and 1"},
		"feeds":              {"CHANGES_FEEDS", "stock,stock", "names stock twice"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(config.Map(map[string]string{"TENDERLINE_SAGEPRO_" + test.variable: test.value}))
			require.ErrorContains(t, err, "TENDERLINE_SAGEPRO_"+test.variable)
			require.ErrorContains(t, err, test.want)
		})
	}
	for dialect, driver := range map[string]string{"sqlserver": "sqlserver", "postgres": "postgres", "sqlite": "sqlite"} {
		require.Equal(t, driver, load(t, map[string]string{"TENDERLINE_SAGEPRO_DIALECT": dialect}).Sagepro.SQLDriver())
	}
	require.Equal(t, "odbc", load(t, map[string]string{"TENDERLINE_SAGEPRO_DRIVER": "odbc"}).Sagepro.SQLDriver())
}

func TestAProcessNeedsTheSettingsOfTheERPsItServes(t *testing.T) {
	c := load(t, twoERPs(map[string]string{
		"TENDERLINE_SAGEPRO_DSN": "sqlserver://user:s3cret@erp", "TENDERLINE_SAGEPRO_NAMES_FILE": "/does/not/exist",
	}))
	err := c.Check(config.UseErp)
	require.ErrorContains(t, err, "TENDERLINE_SYSPRO_BASE_URL is required")
	require.ErrorContains(t, err, "TENDERLINE_SAGEPRO_NAMES_FILE names a file that can't be read")
	require.NotContains(t, err.Error(), "s3cret")

	c = load(t, map[string]string{"TENDERLINE_WORKER_ERPS": "sagepro"})
	err = c.Check(config.UseErp)
	require.EqualError(t, err, "TENDERLINE_SAGEPRO_DSN is required", "nothing of the ERP that it does not serve")
	c = load(t, map[string]string{"TENDERLINE_WORKER_ERPS": "sagepro", "TENDERLINE_SAGEPRO_DSN": "sqlserver://user:s3cret@erp"})
	require.NoError(t, c.Check(config.UseErp))
}

func TestPushedChangesHaveKeysOfTheirERP(t *testing.T) {
	c := load(t, twoERPs(map[string]string{"TENDERLINE_SAGEPRO_CHANGES_WEBHOOK_KEYS": "erp-1:c2VjcmV0", "TENDERLINE_SYSPRO_CHANGES_WEBHOOK_KEYS": "erp-1:b3RoZXI="}))
	sagepro, _ := c.Changes("sagepro")
	syspro, _ := c.Changes("syspro")
	ofSagepro, err := sagepro.WebhookKeySet()
	require.NoError(t, err)
	ofSyspro, err := syspro.WebhookKeySet()
	require.NoError(t, err)
	require.NotEqual(t, ofSagepro, ofSyspro)
	c = load(t, map[string]string{"TENDERLINE_SAGEPRO_CHANGES_WEBHOOK_KEYS": "new:s3cret!"})
	err = c.Check(config.UseAPI)
	require.ErrorContains(t, err, "TENDERLINE_SAGEPRO_CHANGES_WEBHOOK_KEYS entry 1 holds a key that is not base64")
	require.NotContains(t, err.Error(), "s3cret")
}
