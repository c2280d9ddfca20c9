package activities

import (
	"context"

	"github.com/tenderline/tenderline/internal/erp"
)

// ExchangeRates asks the ERP what currencies cost in the general ledger's on a date. Settlement uses them in place of those of the settings.
func (b *Booking) ExchangeRates(ctx context.Context, in ExchangeRatesInput) (ExchangeRatesAnswer, error) {
	answer, err := b.exchangeRates(ctx, in)
	return answer, toTemporal(err)
}

func (b *Booking) exchangeRates(ctx context.Context, in ExchangeRatesInput) (ExchangeRatesAnswer, error) {
	port, has := b.Port.(erp.RatePort)
	if !has {
		return ExchangeRatesAnswer{}, bug("%s can't be asked for exchange rates", b.system())
	}
	rates, err := port.ExchangeRates(ctx, in.To, in.Date)
	return ExchangeRatesAnswer{Rates: rates}, err
}
