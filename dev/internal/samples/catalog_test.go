package samples

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/config"
)

func TestSamplesCanBeToldApart(t *testing.T) {
	run := RunID(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
	valid := regexp.MustCompile(`^[A-Za-z0-9._-]{1,30}$`)
	seen := map[string]bool{}
	all := All(world.Syspro(""), world.Sagepro(""))
	require.Len(t, all, 2*len(All(world.Sagepro(""))), "each ERP gets all of them")
	for _, sample := range all {
		id := sample.OrderID(run)
		require.Regexp(t, valid, id)
		require.False(t, seen[id] || seen[sample.Title], "%s is there twice", id)
		seen[id], seen[sample.Title] = true, true
		for _, other := range all {
			// References of follow-ons start with the order's ID and a hyphen.
			require.False(t, strings.HasPrefix(other.OrderID(run), id+"-"), "%s and %s share transactions", sample.Slug, other.Slug)
		}
	}
}

func TestRunsHaveFreshIDs(t *testing.T) {
	now := time.Date(2026, 11, 20, 14, 3, 22, 0, time.UTC)
	require.Equal(t, "tot0dm", RunID(now))
	require.NotEqual(t, RunID(now), RunID(now.Add(time.Second)))
}

func TestCardNumberIsOneThatMustBeRefused(t *testing.T) {
	found, err := canonical.FindCardNumbers([]byte(`{"note":"` + CardNumber + `"}`))
	require.NoError(t, err)
	require.NotEmpty(t, found)
}

func TestChannelsAreValidSettings(t *testing.T) {
	settings, err := config.Load(config.Map(map[string]string{
		"TENDERLINE_CHANNELS": Channels(world.Syspro("")), "TENDERLINE_ENCRYPTION_KEYS": "k:" + strings.Repeat("A", 43) + "=", "TENDERLINE_CYBERSOURCE_RESOLVE_BUDGET": "24s",
	}))
	require.NoError(t, err)
	kiosk, known := settings.Channel(Kiosk)
	require.True(t, known)
	require.Zero(t, kiosk.Policy.PaymentWait)
	require.Equal(t, "compensate", kiosk.Policy.OnErpFailure)
	other, known := settings.Channel("web-us")
	require.True(t, known)
	require.Equal(t, "park", other.Policy.OnErpFailure)
	for _, name := range []string{Hasty, Brief, Watchful, ShortHold, Depot, Account, Impatient} {
		channel, known := settings.Channel(name)
		require.True(t, known)
		require.NotEqual(t, other.Policy, channel.Policy, "%s has no settings of its own", name)
	}
	hasty, _ := settings.Channel(Hasty)
	require.Less(t, hasty.Policy.ReviewRemind, hasty.Policy.ReviewEscalate)
	require.Less(t, hasty.Policy.ReviewEscalate, hasty.Policy.ReviewDeadline)
	require.GreaterOrEqual(t, hasty.Policy.ReviewPoll, hasty.Policy.ReviewDeadline, "the schedule must not come before the deadline's own question")
	brief, _ := settings.Channel(Brief)
	require.GreaterOrEqual(t, brief.Policy.ReviewDeadline, 25*time.Second, "slow machines must come before it")
	require.GreaterOrEqual(t, brief.Policy.ReviewPoll, brief.Policy.ReviewDeadline, "the schedule must not come before the deadline's own question")
	short, _ := settings.Channel(ShortHold)
	require.Less(t, short.Policy.AuthorizationLife, shortHold)
}

// TestSampleFilesAreOrders holds the files that people send by hand against the model.
func TestSampleFilesAreOrders(t *testing.T) {
	files, err := filepath.Glob("../../../samples/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	ids := map[string]string{}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			order, problems, err := canonical.DecodeOrder(bytes.NewReader(bytes.ReplaceAll(content, []byte("TOKEN"), []byte("eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOiIxIn0.c2ln"))))
			require.NoError(t, err)
			require.Empty(t, problems)
			require.Empty(t, ids[order.OrderID], "the same order ID as another file")
			ids[order.OrderID] = file
		})
	}
}
