package wiring

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/config"
)

func TestWhoseRowsAreSettled(t *testing.T) {
	for organization, want := range map[string][]string{"": nil, "acme_group": {"acme_us", "acme_group"}} {
		settings, err := config.Load(config.Map(map[string]string{"TENDERLINE_CYBERSOURCE_MERCHANT_ID": "acme_us", "TENDERLINE_SETTLEMENT_ORGANIZATION": organization}))
		require.NoError(t, err)
		require.Equal(t, want, reportedMerchants(settings))
	}
}
