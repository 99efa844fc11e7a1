-- The open payment link of a loan or an instalment, for an address that names no more than that (`/pay/LN-1:3`).
CREATE INDEX gateway_calls_links ON gateway_calls (loan_id) WHERE kind = 'link';
