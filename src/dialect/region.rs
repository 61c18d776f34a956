//! States and provinces of the countries in which RingCentral requires one (ringcentral.md §2.7): proper name or postal
//! abbreviation (USPS Publication 28, Canada Post). The value is only looked up, never rewritten.

use crate::scim::path::AttrPath;

struct Country {
    /// ISO 3166 codes and names, as they occur in Entra's `country`.
    names: &'static [&'static str],
    /// What its parts are called in a message, with an example.
    part: &'static str,
    /// `AB Name, …`; empty: any region will do.
    regions: &'static str,
}

const COUNTRIES: [Country; 3] = [
    Country {
        names: &["US", "USA", "U.S.", "U.S.A.", "United States", "United States of America"],
        part: "state (such as California or CA)",
        regions: "AL Alabama, AK Alaska, AZ Arizona, AR Arkansas, CA California, CO Colorado, CT Connecticut, \
                  DE Delaware, DC District of Columbia, FL Florida, GA Georgia, HI Hawaii, ID Idaho, IL Illinois, \
                  IN Indiana, IA Iowa, KS Kansas, KY Kentucky, LA Louisiana, ME Maine, MD Maryland, MA Massachusetts, \
                  MI Michigan, MN Minnesota, MS Mississippi, MO Missouri, MT Montana, NE Nebraska, NV Nevada, \
                  NH New Hampshire, NJ New Jersey, NM New Mexico, NY New York, NC North Carolina, ND North Dakota, \
                  OH Ohio, OK Oklahoma, OR Oregon, PA Pennsylvania, RI Rhode Island, SC South Carolina, \
                  SD South Dakota, TN Tennessee, TX Texas, UT Utah, VT Vermont, VA Virginia, WA Washington, \
                  WV West Virginia, WI Wisconsin, WY Wyoming, AS American Samoa, GU Guam, \
                  MP Northern Mariana Islands, PR Puerto Rico, VI Virgin Islands, AA Armed Forces Americas, \
                  AE Armed Forces Europe, AP Armed Forces Pacific",
    },
    Country {
        names: &["GB", "UK", "GBR", "U.K.", "Great Britain", "United Kingdom"],
        part: "county or region (such as Kent)",
        regions: "",
    },
    Country {
        names: &["CA", "CAN", "Canada"],
        part: "province (such as Ontario or ON)",
        regions: "AB Alberta, BC British Columbia, MB Manitoba, NB New Brunswick, NL Newfoundland and Labrador, \
                  NS Nova Scotia, NT Northwest Territories, NU Nunavut, ON Ontario, PE Prince Edward Island, \
                  QC Quebec, QC Québec, SK Saskatchewan, YT Yukon",
    },
];

/// What is wrong with `region` in the country that `country` names, told under the path `blamed` (one of the two);
/// nothing for countries without such a rule.
pub(super) fn fault(country: &str, region: Option<&str>, paths: [&AttrPath; 2], blamed: &AttrPath) -> Option<String> {
    let country = country.trim();
    let country = COUNTRIES.iter().find(|known| known.names.iter().any(|name| name.eq_ignore_ascii_case(country)))?;
    let region = region.map(str::trim);
    if region.is_some_and(|region| country.knows(region)) {
        return None;
    }
    let ([region_path, country_path], part) = (paths, country.part);
    let what = match (region, blamed == region_path) {
        (None, true) => format!("a {part} is missing, which the country in {country_path} needs"),
        (None, false) => format!("this country needs a {part} in {region_path}"),
        (Some(_), true) => format!("not a {part} of the country in {country_path}"),
        (Some(_), false) => format!("{region_path} is not a {part} of this country"),
    };
    Some(format!("{what}; correct the person's state where it is kept, or map neither region nor country"))
}

impl Country {
    fn knows(&self, region: &str) -> bool {
        let region = region.to_lowercase();
        let is = |entry: &str| {
            let (short, name) = entry.split_once(' ').unwrap_or((entry, entry));
            short.eq_ignore_ascii_case(&region) || name.to_lowercase() == region
        };
        self.regions.is_empty() || self.regions.split(", ").any(is)
    }
}
